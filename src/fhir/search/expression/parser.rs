//! Recursive descent over the tokens, by FHIRPath's precedence: `.` and `[]`, then `as` and `is`, then
//! `|`, then `=` and `!=`, then `and`, then `or`.

use super::lexer::{Token, tokens};
use super::{Expression, Literal, Step};

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 16;

/// Parses a whole expression.
///
/// # Errors
/// What lies outside the grammar.
pub(in crate::search) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), depth: 0 };
    let expression = parser.disjunction()?;
    match parser.tokens.next() {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected {}", describe(&token))),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn disjunction(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.conjunction()?];
        while self.take_word("or") {
            parts.push(self.conjunction()?);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn conjunction(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.comparison()?];
        while self.take_word("and") {
            parts.push(self.comparison()?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.union()?;
        let negated = match self.tokens.peek() {
            Some(Token::Sign('=')) => false,
            Some(Token::Sign('≠')) => true,
            _ => return Ok(left),
        };
        self.tokens.next();
        let right = match self.tokens.next() {
            Some(Token::Text(text)) => Literal::Text(text),
            Some(Token::Name(name)) if name == "true" => Literal::Boolean(true),
            Some(Token::Name(name)) if name == "false" => Literal::Boolean(false),
            other => {
                return Err(format!("a comparison with {}", describe_next(other.as_ref())));
            }
        };
        Ok(Expression::Compare { left: Box::new(left), negated, right })
    }

    fn union(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.typed()?];
        while self.take_sign('|') {
            parts.push(self.typed()?);
        }
        Ok(one_or(parts, Expression::Union))
    }

    fn typed(&mut self) -> Result<Expression, String> {
        let mut expression = self.path()?;
        loop {
            if self.take_word("as") {
                expression = Expression::Cast(Box::new(expression), self.type_name()?);
            } else if self.take_word("is") {
                expression = Expression::Is(Box::new(expression), self.type_name()?);
            } else {
                return Ok(expression);
            }
        }
    }

    fn path(&mut self) -> Result<Expression, String> {
        let first = match self.tokens.next() {
            Some(Token::Sign('(')) => Step::Group(Box::new(self.grouped()?)),
            Some(Token::Variable(name)) if name == "resource" => Step::Resource,
            Some(Token::Name(name)) if name == "$this" => Step::This,
            Some(Token::Name(name)) => self.step(name)?,
            other => return Err(format!("unexpected {}", describe_next(other.as_ref()))),
        };
        let mut steps = vec![first];
        loop {
            if self.take_sign('.') {
                match self.tokens.next() {
                    Some(Token::Name(name)) => steps.push(self.step(name)?),
                    other => return Err(format!("unexpected {}", describe_next(other.as_ref()))),
                }
            } else if self.take_sign('[') {
                match self.tokens.next() {
                    Some(Token::Number(index)) => steps.push(Step::Index(index)),
                    other => return Err(format!("an index of {}", describe_next(other.as_ref()))),
                }
                self.expect(']')?;
            } else {
                return Ok(Expression::Path(steps));
            }
        }
    }

    /// An element, or a function where a parenthesis follows.
    fn step(&mut self, name: String) -> Result<Step, String> {
        if !self.take_sign('(') {
            return Ok(Step::Name(name));
        }
        let step = match name.as_str() {
            "where" => return Ok(Step::Where(Box::new(self.grouped()?))),
            "as" | "ofType" => Step::Cast(self.type_name()?),
            "extension" => Step::Extension(self.text()?),
            "hasExtension" => Step::HasExtension(self.text()?),
            "exists" => Step::Exists,
            "resolve" => Step::Resolve,
            "first" => Step::Index(0),
            _ => return Err(format!("the function {name}()")),
        };
        self.expect(')')?;
        Ok(step)
    }

    /// The rest of a parenthesis.
    fn grouped(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested parentheses"));
        }
        let expression = self.disjunction()?;
        self.depth -= 1;
        self.expect(')')?;
        Ok(expression)
    }

    fn type_name(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Name(name)) if matches!(name.as_str(), "FHIR" | "System") && self.take_sign('.') => {
                self.type_name()
            }
            Some(Token::Name(name)) => Ok(name),
            other => Err(format!("{} in place of a type", describe_next(other.as_ref()))),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(format!("{} in place of a string", describe_next(other.as_ref()))),
        }
    }

    fn take_sign(&mut self, sign: char) -> bool {
        self.tokens.next_if(|token| *token == Token::Sign(sign)).is_some()
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Name(name) if name == word)).is_some()
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(format!("{} where '{sign}' should stand", describe_next(self.tokens.peek())))
    }
}

fn one_or(mut parts: Vec<Expression>, many: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("'{name}'"),
        Token::Variable(name) => format!("'%{name}'"),
        Token::Text(text) => format!("'{text}'"),
        Token::Number(number) => format!("'{number}'"),
        Token::Sign('≠') => "'!='".to_owned(),
        Token::Sign(sign) => format!("'{sign}'"),
    }
}

fn describe_next(token: Option<&Token>) -> String {
    token.map_or_else(|| "the end".to_owned(), describe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Step {
        Step::Name(text.to_owned())
    }

    #[test]
    fn precedence_is_that_of_fhirpath() {
        let path = |steps: Vec<Step>| Expression::Path(steps);
        assert_eq!(
            parse("a.b | (c as X).d").unwrap(),
            Expression::Union(vec![
                path(vec![name("a"), name("b")]),
                path(vec![
                    Step::Group(Box::new(Expression::Cast(Box::new(path(vec![name("c")])), "X".into()))),
                    name("d")
                ]),
            ])
        );
        assert!(matches!(parse("a.exists() and a != false"), Ok(Expression::And(parts)) if parts.len() == 2));
        assert!(matches!(parse("a.where(resolve() is Patient)"), Ok(Expression::Path(_))));
        assert_eq!(parse("e[0].r").unwrap(), path(vec![name("e"), Step::Index(0), name("r")]));
    }

    #[test]
    fn what_lies_outside_the_grammar_is_named() {
        for (text, reason) in [
            ("a.iif(b, c)", "the function iif()"),
            ("a +", "unexpected '+'"),
            ("a.", "unexpected the end"),
            ("(a", "the end where ')' should stand"),
            ("a b", "unexpected 'b'"),
            ("a = 1", "a comparison with '1'"),
            ("a.where('x", "a string without end"),
            ("%context", "unexpected '%context'"),
            ("", "unexpected the end"),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason, "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|(a|b| as | is |\\.|\\(|\\)|\\||'|=|!=|where|\\[0\\]| and ){0,16}") {
            let _ = parse(&text);
        }
    }
}
