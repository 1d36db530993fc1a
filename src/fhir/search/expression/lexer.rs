//! Words and signs of an expression.

/// A word or sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or keyword.
    Name(String),
    /// `%name`
    Variable(String),
    /// `'text'`
    Text(String),
    /// Digits.
    Number(usize),
    /// One of `. ( ) [ ] | = ≠ ,`, where `≠` stands for `!=`.
    Sign(char),
}

/// Splits an expression into words and signs.
///
/// # Errors
/// What was found that is neither.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '.' | '(' | ')' | '[' | ']' | '|' | '=' | ',' => (Token::Sign(first), 1),
            '!' if rest.starts_with("!=") => (Token::Sign('≠'), 2),
            '\'' => quoted(rest)?,
            '%' => {
                let name = word(&rest[1..]);
                (Token::Variable(name.to_owned()), name.len() + 1)
            }
            '0'..='9' => number(rest)?,
            _ => {
                let name = word(rest);
                if name.is_empty() {
                    return Err(format!("unexpected '{first}'"));
                }
                (Token::Name(name.to_owned()), name.len())
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
    &text[..end.unwrap_or(text.len())]
}

fn quoted(text: &str) -> Result<(Token, usize), String> {
    let inner = &text[1..];
    let end = inner.find('\'').ok_or("a string without end")?;
    if inner[..end].contains('\\') {
        return Err("an escape in a string".to_owned());
    }
    Ok((Token::Text(inner[..end].to_owned()), end + 2))
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let digits = word(text);
    let number = digits.parse().map_err(|_| format!("unexpected '{digits}'"))?;
    Ok((Token::Number(number), digits.len()))
}
