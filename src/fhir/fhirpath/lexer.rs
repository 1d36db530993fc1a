//! FHIRPath's words.
//!
//! Source: FHIRPath N1, section 8 (lexical elements) and appendix B.

use rust_decimal::Decimal;

use super::temporal::Temporal;

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// An identifier or keyword as it stands.
    Word(String),
    /// An identifier in back quotes.
    Quoted(String),
    /// `'text'`, unescaped.
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
    /// `%name`
    Variable(String),
    /// `$this`, `$index`, `$total`, without the `$`.
    Special(String),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// What is wrong, and how many bytes stand before it.
pub(super) type Fault = (String, usize);

/// Signs; of two that begin alike the longer comes first.
const SIGNS: [&str; 22] =
    ["!=", "!~", "<=", ">=", ".", "[", "]", "(", ")", "{", "}", ",", "+", "-", "*", "/", "&", "|", "=", "~", "<", ">"];

/// All words of `text` with their places, an [`Token::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Fault> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip()?;
        let at = lexer.at;
        let token = lexer.token().map_err(|message| (message, at))?;
        let done = token == Token::End;
        tokens.push((token, at));
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let end = trimmed.find("*/").ok_or(("the comment does not end".to_owned(), self.at))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn token(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            'A'..='Z' | 'a'..='z' | '_' => Ok(Token::Word(self.word().to_owned())),
            '0'..='9' => self.number(),
            '\'' => Ok(Token::Text(self.quoted('\'')?)),
            '`' => Ok(Token::Quoted(self.quoted('`')?)),
            // N1 has back quotes; STU 3 had double quotes, and invariants of that time still do.
            '"' => Ok(Token::Quoted(self.quoted('"')?)),
            '@' => {
                self.at += 1;
                let (temporal, length) = Temporal::read_literal(self.rest())?;
                self.at += length;
                Ok(Token::Temporal(temporal))
            }
            '$' => {
                self.at += 1;
                Ok(Token::Special(self.word().to_owned()))
            }
            '%' => {
                self.at += 1;
                self.variable()
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| format!("{first:?} has no meaning"))?;
                self.at += sign.len();
                Ok(Token::Sign(sign))
            }
        }
    }

    fn word(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn variable(&mut self) -> Result<Token, String> {
        let name = match self.rest().chars().next() {
            Some(quote @ ('`' | '\'' | '"')) => self.quoted(quote)?,
            _ => self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).to_owned(),
        };
        if name.is_empty() { Err("a name must follow %".to_owned()) } else { Ok(Token::Variable(name)) }
    }

    fn number(&mut self) -> Result<Token, String> {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
            let digits = &self.text[start..self.at];
            return Decimal::from_str_exact(digits).map(Token::Decimal).map_err(|_| format!("{digits} is too long"));
        }
        let digits = &self.text[start..self.at];
        digits.parse().map(Token::Integer).map_err(|_| format!("{digits} is too large for an integer"))
    }

    /// Text between quotes, with its escapes resolved.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut out = String::new();
        let rest = &self.rest()[1..];
        let mut chars = rest.char_indices();
        while let Some((index, c)) = chars.next() {
            if c == quote {
                self.at += 1 + index + 1;
                return Ok(out);
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('f') => out.push('\u{c}'),
                Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => out.push(c),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    let code = (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
                    out.push(code.and_then(char::from_u32).ok_or("\\u needs the four hex digits of a character")?);
                }
                // Not an escape of N1; the backslash stands for itself, as in patterns written for \d.
                Some(c) => out.extend(['\\', c]),
                None => break,
            }
        }
        Err(format!("the closing {quote} is missing"))
    }
}
