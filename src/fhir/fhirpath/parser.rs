//! Text to tree, by precedence climbing.
//!
//! Source: FHIRPath N1, section 8.2 (precedence) and appendix B (grammar).

use super::ast::{Ast, Call, Operator, TypeName};
use super::error::FhirPathError;
use super::functions::Function;
use super::item::System;
use super::lexer::{Fault, Token, tokens};
use super::quantity::{Quantity, calendar_unit};

/// The longest expression that is read, in bytes.
const MAX_LENGTH: usize = 32 * 1024;

/// How deep parts may lie in each other: `a.b` is two levels, as is `(a)`.
const MAX_DEPTH: usize = 100;

/// The level of `is` and `as`.
const TYPE_LEVEL: u8 = 7;

/// Binary operators by how tightly they bind.
const LEVELS: [(u8, &[Operator]); 9] = {
    use Operator::*;
    [
        (0, &[Implies]),
        (1, &[Or, Xor]),
        (2, &[And]),
        (3, &[In, Contains]),
        (4, &[Equal, Equivalent, NotEqual, NotEquivalent]),
        (5, &[LessOrEqual, GreaterOrEqual, Less, Greater]),
        (6, &[Union]),
        (8, &[Add, Subtract, Concatenate]),
        (9, &[Multiply, Divide, Div, Mod]),
    ]
};

/// What may stand between two expressions, or after one.
enum Infix {
    Operator(u8, Operator),
    Is,
    As,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Ast, FhirPathError> {
    let syntax = |(message, offset): Fault| {
        let offset = text.get(..offset).map_or(0, |before| before.chars().count());
        FhirPathError::Syntax { message, offset }
    };
    if text.len() > MAX_LENGTH {
        return Err(syntax((format!("more than {MAX_LENGTH} bytes"), 0)));
    }
    let tokens = tokens(text).map_err(syntax)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let (ast, _) = parser.binary(0).map_err(syntax)?;
    match parser.peek() {
        Token::End => Ok(ast),
        other => Err(syntax((format!("unexpected {}", describe(other)), parser.offset()))),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

/// A tree, and how many levels it has.
type Parsed = Result<(Ast, usize), Fault>;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(_, offset)| *offset)
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err((message.into(), self.offset()))
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.take_sign(sign) {
            return Ok(());
        }
        self.fault(format!("expected {sign:?} before {}", describe(self.peek())))
    }

    /// One level more than the deepest part, if that is not too deep.
    fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth >= MAX_DEPTH { self.fault(format!("more than {MAX_DEPTH} levels of nesting")) } else { Ok(depth + 1) }
    }

    /// The operator that comes next, if it binds at least as tightly as `least`.
    fn infix(&mut self, least: u8) -> Option<Infix> {
        let written = match self.peek() {
            Token::Sign(sign) => *sign,
            Token::Word(word) => word.as_str(),
            _ => return None,
        };
        let infix = match written {
            "is" if least <= TYPE_LEVEL => Infix::Is,
            "as" if least <= TYPE_LEVEL => Infix::As,
            _ => LEVELS.iter().filter(|(level, _)| *level >= least).find_map(|(level, operators)| {
                let operator = operators.iter().find(|operator| operator.sign() == written)?;
                Some(Infix::Operator(*level, *operator))
            })?,
        };
        self.at += 1;
        Some(infix)
    }

    /// Operands and the operators between them that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Parsed {
        let (mut left, mut depth) = self.unary()?;
        while let Some(infix) = self.infix(least) {
            left = match infix {
                Infix::Is => Ast::Is(Box::new(left), self.type_name()?),
                Infix::As => Ast::As(Box::new(left), self.type_name()?),
                Infix::Operator(level, operator) => {
                    let (right, right_depth) = self.binary(level + 1)?;
                    depth = depth.max(right_depth);
                    Ast::Binary(operator, Box::new(left), Box::new(right))
                }
            };
            depth = self.deeper(depth)?;
        }
        Ok((left, depth))
    }

    fn unary(&mut self) -> Parsed {
        self.depth = self.deeper(self.depth)?;
        let parsed = if self.take_sign("-") {
            let (operand, depth) = self.unary()?;
            Ok((Ast::Negate(Box::new(operand)), self.deeper(depth)?))
        } else if self.take_sign("+") {
            let (operand, depth) = self.unary()?;
            Ok((Ast::Plus(Box::new(operand)), self.deeper(depth)?))
        } else {
            self.path()
        };
        self.depth -= 1;
        parsed
    }

    /// A term and what is invoked on it.
    fn path(&mut self) -> Parsed {
        let (mut ast, mut depth) = self.term()?;
        loop {
            if self.take_sign(".") {
                let invoked;
                (ast, invoked) = self.invocation(Some(ast))?;
                depth = self.deeper(depth.max(invoked))?;
            } else if self.take_sign("[") {
                let (index, index_depth) = self.binary(0)?;
                self.expect("]")?;
                depth = self.deeper(depth.max(index_depth))?;
                ast = Ast::Indexer(Box::new(ast), Box::new(index));
            } else {
                return Ok((ast, depth));
            }
        }
    }

    fn term(&mut self) -> Parsed {
        let literal = |system| Ok((Ast::Literal(system), 1));
        match self.peek().clone() {
            Token::Sign("(") => {
                self.at += 1;
                let (inner, depth) = self.binary(0)?;
                self.expect(")")?;
                Ok((inner, self.deeper(depth)?))
            }
            Token::Sign("{") => {
                self.at += 1;
                self.expect("}")?;
                Ok((Ast::Empty, 1))
            }
            Token::Word(word) if word == "true" || word == "false" => {
                self.at += 1;
                literal(System::Boolean(word == "true"))
            }
            Token::Word(_) | Token::Quoted(_) => self.invocation(None),
            Token::Special(_) => self.invocation(None),
            Token::Text(text) => {
                self.at += 1;
                literal(System::String(text.into()))
            }
            Token::Integer(number) => {
                self.at += 1;
                literal(self.quantity(number.into()).unwrap_or(System::Integer(number)))
            }
            Token::Decimal(number) => {
                self.at += 1;
                literal(self.quantity(number).unwrap_or(System::Decimal(number)))
            }
            Token::Temporal(temporal) => {
                self.at += 1;
                literal(System::Temporal(temporal))
            }
            Token::Variable(name) => {
                self.at += 1;
                Ok((Ast::Variable(name), 1))
            }
            other => self.fault(format!("unexpected {}", describe(&other))),
        }
    }

    /// The unit after a number: `'mg'` or `days`.
    fn quantity(&mut self, value: rust_decimal::Decimal) -> Option<System<'static>> {
        let quantity = match self.peek() {
            Token::Text(unit) => Quantity::ucum(value, unit.clone()),
            Token::Word(word) => Quantity::calendar(value, calendar_unit(word)?),
            _ => return None,
        };
        self.at += 1;
        Some(System::Quantity(quantity))
    }

    /// A member or function, of `on` where something stands before it.
    fn invocation(&mut self, on: Option<Ast>) -> Parsed {
        let name = match self.next() {
            Token::Word(name) => name,
            Token::Quoted(name) => return Ok((Ast::Member(on.map(Box::new), name), 1)),
            Token::Special(name) if on.is_none() => {
                return match name.as_str() {
                    "this" => Ok((Ast::This, 1)),
                    "index" => Ok((Ast::Index, 1)),
                    "total" => Ok((Ast::Total, 1)),
                    _ => self.fault(format!("${name} has no meaning")),
                };
            }
            other => {
                self.at -= 1;
                return self.fault(format!("expected a name, not {}", describe(&other)));
            }
        };
        if !self.take_sign("(") {
            return Ok((Ast::Member(on.map(Box::new), name), 1));
        }
        let Some(function) = Function::by_name(&name) else {
            return self.fault(format!("there is no function {name}()"));
        };
        let (call, depth) = self.call(function, &name)?;
        Ok((Ast::Call(on.map(Box::new), call), depth + 1))
    }

    fn call(&mut self, function: Function, name: &str) -> Result<(Call, usize), Fault> {
        let mut call = Call { function, arguments: Vec::new(), type_name: None, pattern: None };
        let mut depth = 0;
        if function.takes_type() {
            call.type_name = Some(self.type_name()?);
            self.expect(")")?;
            return Ok((call, depth));
        }
        while !self.take_sign(")") {
            if !call.arguments.is_empty() {
                self.expect(",")?;
            }
            let (argument, argument_depth) = self.binary(0)?;
            depth = depth.max(argument_depth);
            call.arguments.push(argument);
        }
        let (least, most) = function.arity();
        if !(least..=most).contains(&call.arguments.len()) {
            return self.fault(format!("{name}() does not take {} arguments", call.arguments.len()));
        }
        if let (true, Some(Ast::Literal(System::String(pattern)))) = (function.takes_pattern(), call.arguments.first())
        {
            let compiled = super::functions::pattern(function, pattern);
            call.pattern = Some(compiled.or_else(|message| self.fault(message))?);
        }
        Ok((call, depth))
    }

    fn type_name(&mut self) -> Result<TypeName, Fault> {
        let first = self.name()?;
        if self.take_sign(".") {
            return Ok(TypeName { namespace: Some(first), name: self.name()? });
        }
        Ok(TypeName { namespace: None, name: first })
    }

    fn name(&mut self) -> Result<String, Fault> {
        match self.peek().clone() {
            Token::Word(name) | Token::Quoted(name) => {
                self.at += 1;
                Ok(name)
            }
            other => self.fault(format!("expected the name of a type, not {}", describe(&other))),
        }
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) | Token::Quoted(word) => format!("{word:?}"),
        Token::Text(_) => "a string".to_owned(),
        Token::Integer(_) | Token::Decimal(_) => "a number".to_owned(),
        Token::Temporal(_) => "a date or time".to_owned(),
        Token::Variable(name) => format!("%{name}"),
        Token::Special(name) => format!("${name}"),
        Token::Sign(sign) => format!("{sign:?}"),
        Token::End => "the end".to_owned(),
    }
}
