//! A load generator: plain HTTP/1.1 over kept-alive connections, one thread each.
//!
//! It does as little as it can, because on a small machine it shares the cores with the server it measures:
//! one write per request, one buffer per connection, and of the answer only status and length are read.

use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this many requests, shared evenly among the connections.
    Count(u64),
    /// After this time.
    Elapsed(Duration),
}

/// What to send.
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) connections: u64,
    pub(crate) until: Until,
    pub(crate) method: &'a str,
    /// Lines of further headers, each with its `\r\n`.
    pub(crate) headers: &'a str,
    pub(crate) body: &'a [u8],
    /// Path of request number `n` of connection `c`.
    pub(crate) path: &'a (dyn Fn(u64, u64) -> String + Sync),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) wall: Duration,
    /// Times of single requests, sorted.
    pub(crate) times: Vec<Duration>,
}

impl Outcome {
    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// The time that the share `of` (0 to 1) of the requests stayed below.
    pub(crate) fn quantile(&self, of: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let index = (last as f64 * of).round() as usize;
        self.times.get(index).copied().unwrap_or_default()
    }
}

impl Load<'_> {
    /// Sends until the end is reached; any answer other than 2xx ends the run with an error.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let stop = AtomicBool::new(false);
        let began = Instant::now();
        let results: Vec<anyhow::Result<Vec<Duration>>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.connections)
                .map(|connection| {
                    let stop = &stop;
                    scope.spawn(move || {
                        let result = self.connection(connection, began, stop);
                        if result.is_err() {
                            stop.store(true, Ordering::Relaxed);
                        }
                        result
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|_| bail!("a connection panicked"))
                })
                .collect()
        });
        let wall = began.elapsed();
        let mut times = Vec::new();
        for result in results {
            times.extend(result?);
        }
        times.sort_unstable();
        Ok(Outcome {
            requests: times.len() as u64,
            wall,
            times,
        })
    }

    fn connection(
        &self,
        connection: u64,
        began: Instant,
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut stream = TcpStream::connect(self.address)
            .with_context(|| format!("connecting to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut buffer = vec![0; 64 * 1024];
        let mut times = Vec::new();
        for number in 0.. {
            let ended = match self.until {
                // The first connections take what does not divide evenly.
                Until::Count(count) => {
                    number
                        >= count / self.connections
                            + u64::from(connection < count % self.connections)
                }
                Until::Elapsed(limit) => began.elapsed() >= limit,
            };
            if ended || stop.load(Ordering::Relaxed) {
                break;
            }
            let path = (self.path)(connection, number);
            let request = self.request(&path);
            let sent = Instant::now();
            stream.write_all(&request)?;
            let status = read_answer(&mut stream, &mut buffer)
                .with_context(|| format!("{} {path}", self.method))?;
            times.push(sent.elapsed());
            if !(200..300).contains(&status) {
                bail!("{} {path} was answered {status}", self.method);
            }
        }
        Ok(times)
    }

    fn request(&self, path: &str) -> Vec<u8> {
        let length = if self.body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", self.body.len())
        };
        let head = format!(
            "{} {path} HTTP/1.1\r\nHost: {}\r\n{}{length}\r\n",
            self.method, self.address, self.headers
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(self.body);
        request
    }
}

/// Reads one answer with a length and leaves the connection ready for the next; gives the status.
fn read_answer(stream: &mut impl Read, buffer: &mut [u8]) -> anyhow::Result<u16> {
    let mut filled = 0;
    loop {
        let taken = stream.read(&mut buffer[filled..])?;
        if taken == 0 {
            bail!(
                "the server closed the connection, or its head is longer than {} bytes",
                buffer.len()
            );
        }
        filled += taken;
        let Some(end) = buffer[..filled]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).context("a head that is not text")?;
        let status: u16 = head
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .context("no status line")?;
        let length = header(head, "content-length").and_then(|value| value.parse::<usize>().ok());
        let Some(length) = length.or((status == 204).then_some(0)) else {
            bail!("an answer without a length")
        };
        let mut left = (end + 4 + length)
            .checked_sub(filled)
            .context("more than one answer came back")?;
        while left > 0 {
            let wanted = left.min(buffer.len());
            let taken = stream.read(&mut buffer[..wanted])?;
            anyhow::ensure!(taken > 0, "the body ends {left} bytes early");
            left -= taken;
        }
        return Ok(status);
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers each request with `answer`; requests have no body.
    fn serve(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut seen = Vec::new();
                    let mut byte = [0];
                    while stream.read(&mut byte).is_ok_and(|taken| taken == 1) {
                        seen.push(byte[0]);
                        if seen.ends_with(b"\r\n\r\n") {
                            seen.clear();
                            stream.write_all(answer.as_bytes()).unwrap();
                        }
                    }
                });
            }
        });
        address
    }

    fn load(address: SocketAddr, until: Until) -> anyhow::Result<Outcome> {
        let path = |connection, number| format!("/{connection}/{number}");
        Load {
            address,
            connections: 3,
            until,
            method: "GET",
            headers: "",
            body: &[],
            path: &path,
        }
        .run()
    }

    #[test]
    fn a_count_is_shared_among_connections_and_met_exactly() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        let outcome = load(address, Until::Count(100)).unwrap();
        assert_eq!(outcome.requests, 100);
        assert!(outcome.quantile(0.5) <= outcome.quantile(0.99));
        assert!(outcome.rate() > 0.0);
    }

    #[test]
    fn a_run_by_time_ends() {
        let address = serve("HTTP/1.1 204 No Content\r\n\r\n");
        let outcome = load(address, Until::Elapsed(Duration::from_millis(50))).unwrap();
        assert!(outcome.requests > 0 && outcome.wall < Duration::from_secs(5));
    }

    #[test]
    fn a_refusal_ends_the_run() {
        let address = serve("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        let error = load(address, Until::Count(10)).unwrap_err();
        assert!(error.to_string().contains("503"), "{error:#}");
    }
}
