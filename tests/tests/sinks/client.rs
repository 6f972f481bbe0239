//! A client that posts records, and asks again for what it was not answered.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port on which nobody listens. Another process may take it in between.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// One request on a connection of its own: the status, and the answer as it came. None: there was
/// no answer, and nobody knows what became of the request.
pub fn post(port: u16, key: Option<&str>, kind: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let key = key.map_or(String::new(), |key| format!("idempotency-key: \"{key}\"\r\n"));
    let head = format!(
        "POST /in HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         {key}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    // What came before the connection broke may be the whole answer.
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}
