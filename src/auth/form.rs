//! Form parameters of the OAuth endpoints (`application/x-www-form-urlencoded`).

use crate::{ClientAssertion, OAuthError};

/// Longest body that is read. The largest honest one is an assertion and a long scope.
const MAX_BODY: usize = 64 * 1024;

/// The parameters of one request. RFC 6749, section 3.2: one without a value counts as omitted, and
/// none may come twice.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        if body.len() > MAX_BODY {
            return Err(OAuthError::invalid_request(format!("the form is longer than {MAX_BODY} bytes")));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(OAuthError::invalid_request(format!("parameter {name} is given more than once")));
            }
            if parameters.len() == 64 {
                return Err(OAuthError::invalid_request("the form has too many parameters"));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    /// Takes a parameter; `None` where it is not there or empty.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, value)| known == name && !value.is_empty())?;
        Some(self.0.swap_remove(at).1)
    }

    /// Takes the parameters by which the client authenticates.
    pub fn take_assertion(&mut self) -> ClientAssertion {
        ClientAssertion {
            client_id: self.take("client_id"),
            client_assertion_type: self.take("client_assertion_type"),
            client_assertion: self.take("client_assertion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(mut form) = Form::parse(&body) {
                form.take_assertion().claimed_client();
            }
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_omitted_and_a_repeated_one_is_refused() {
        let mut form = Form::parse(b"scope=&grant_type=client_credentials&x=a%20b+c").unwrap();
        assert_eq!(form.take("scope"), None);
        assert_eq!(form.take("grant_type").as_deref(), Some("client_credentials"));
        assert_eq!(form.take("x").as_deref(), Some("a b c"));
        assert_eq!(Form::parse(b"scope=a&scope=a").err().unwrap().status(), 400);
        assert_eq!(Form::parse(&vec![b'a'; MAX_BODY + 1]).err().unwrap().status(), 400);
    }
}
