//! One connection, written and read byte by byte, so that a test can break every rule.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::Reply;

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => match stream.read(buffer) {
                // A server that ends without close_notify has ended all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A raw HTTP/1.1 connection, plain or over TLS.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<Stream>,
}

impl Wire {
    /// Connects; reads and writes give up after `patience`.
    pub fn connect(
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        patience: Duration,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        tcp.set_read_timeout(Some(patience))?;
        tcp.set_write_timeout(Some(patience))?;
        tcp.set_nodelay(true)?;
        let stream = match tls {
            None => Stream::Plain(tcp),
            Some(config) => {
                let name = ServerName::from(address.ip());
                let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(connection, tcp)))
            }
        };
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes.as_ref())?;
        stream.flush()
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn finish_sending(&mut self) {
        match self.stream.get_mut() {
            Stream::Plain(tcp) => tcp.shutdown(Shutdown::Write).ok(),
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush().ok();
                tls.sock.shutdown(Shutdown::Write).ok()
            }
        };
    }

    /// Reads one status line with headers; the body stays on the wire.
    pub fn read_head(&mut self) -> io::Result<Reply> {
        let mut line = self.read_line()?;
        while line.is_empty() {
            line = self.read_line()?;
        }
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Reply {
            status,
            headers,
            body: Vec::new(),
        })
    }

    /// Reads one whole answer, passing over interim ones (1xx).
    pub fn read_reply(&mut self, method: &str) -> io::Result<Reply> {
        let mut reply = self.read_head()?;
        while (100..200).contains(&reply.status) {
            reply = self.read_head()?;
        }
        if method == "HEAD" || reply.status == 204 || reply.status == 304 {
            return Ok(reply);
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            self.read_chunks(&mut reply.body)?;
        } else if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().map_err(io::Error::other)?;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body)?;
            reply.body = body;
        } else {
            self.stream.read_to_end(&mut reply.body)?;
        }
        Ok(reply)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
            let taken = (&mut self.stream).take(size).read_to_end(body)?;
            if taken as u64 != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(());
            }
            self.read_line()?;
        }
    }

    /// Reads up to `limit` bytes of a body that is still on the wire.
    pub fn read_some(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit];
        let taken = self.stream.read(&mut bytes)?;
        bytes.truncate(taken);
        Ok(bytes)
    }

    /// True when the server has closed the connection (waits at most the connection's patience).
    pub fn closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(taken) => taken == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(64 * 1024)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while line.ends_with(b"\n") || line.ends_with(b"\r") {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What a client reads when a server writes `bytes` and hangs up.
    fn read(method: &str, bytes: &'static [u8]) -> io::Result<Reply> {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || server.accept().unwrap().0.write_all(bytes).unwrap());
        let mut wire = Wire::connect(address, None, Duration::from_secs(5)).unwrap();
        wire.read_reply(method)
    }

    #[test]
    fn bodies_are_read_by_length_by_chunks_and_to_the_end() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello rest"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let reply = read("GET", bytes).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
        }
    }

    #[test]
    fn a_cut_answer_is_no_answer() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 20",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            assert!(read("GET", bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn answers_without_a_body_end_with_their_head() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(read("HEAD", head).unwrap().body, b"");
    }
}
