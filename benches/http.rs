//! The client's side of HTTP/1.1, as little of it as a load generator needs: it shares two cores with
//! what it measures.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Fallible;

/// A kept-alive connection with one request under way at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; its body is borrowed from the connection.
pub struct Answer<'c> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'c [u8],
}

impl Answer<'_> {
    /// The body as text, for messages and JSON.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a whole request and waits for the whole answer.
    ///
    /// # Errors
    /// A connection that broke, or an answer without a length.
    pub async fn exchange(&mut self, request: &[u8]) -> Fallible<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            self.fill().await?;
            if let Some(head) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break (head + 4, content_length(&self.buffer[..head + 2])?);
            }
        };
        while self.buffer.len() < head + length {
            self.fill().await?;
        }
        let status = std::str::from_utf8(&self.buffer[9..12])?.parse()?;
        Ok(Answer { status, body: &self.buffer[head..head + length] })
    }

    async fn fill(&mut self) -> Fallible<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// The announced length; both servers write header names in lower case.
fn content_length(head: &[u8]) -> Fallible<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let Some(at) = memchr::memmem::find(head, NAME) else {
        let no_body = head.get(9..12).is_some_and(|status| status == b"204" || status == b"304");
        return if no_body { Ok(0) } else { Err("an answer without content-length".into()) };
    };
    let digits = head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
    if let Some(token) = token {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-type: application/fhir+json\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_answer_is_found() {
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n").unwrap(), 1234);
        assert_eq!(content_length(b"HTTP/1.1 204 No Content\r\ndate: x\r\n").unwrap(), 0);
        assert!(content_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n").is_err());
    }

    #[test]
    fn a_request_announces_its_body() {
        let text = String::from_utf8(request("POST", "/r", Some("t"), "{}")).unwrap();
        assert!(
            text.contains("authorization: Bearer t\r\n") && text.ends_with("content-length: 2\r\n\r\n{}"),
            "{text}"
        );
    }
}
