//! A scripted HTTP/1.1 server on this machine. It sends responses from a queue and records the requests.
//!
//! The server uses only threads, so it does not depend on a test's async runtime. It delays a response only if the
//! [`Answer`] has a delay. The threads of a server end when its [`Server`] is dropped.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use crate::answer::Answer;

/// A request that the server has received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The time at which the server had read the whole request.
    pub at: Instant,
    /// The method of the request, such as `POST`.
    pub method: String,
    /// The path of the request, including its query.
    pub path: String,
    /// The headers in the order of the request, with unchanged names.
    pub headers: Vec<(String, String)>,
    /// The body of the request.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the value of the header `name`, or `None` if the request lacks it. The case of the name does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body of the request as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A running HTTP server. It stops when this value is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that sends these responses in order, one for each request. After the last one, it repeats the
    /// last one.
    ///
    /// # Panics
    /// Panics if no port on 127.0.0.1 is free.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut queue: Vec<_> = answers.into_iter().collect();
        queue.reverse();
        Self::listen(ServerState { queue, ..ServerState::default() }, None)
    }

    /// Starts a server that calls `answer` with each request and sends the returned response. Calls for different
    /// connections run in parallel.
    ///
    /// # Panics
    /// Panics if no port on 127.0.0.1 is free.
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(ServerState::default(), Some(Box::new(answer)))
    }

    fn listen(state: ServerState, handler: Option<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1 is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared { state: Mutex::new(state), stopped: Condvar::new(), handler });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Sets the response to every request whose path begins with `path`. Such a request does not take a response from
    /// the queue.
    #[must_use]
    pub fn with_route(self, path: &str, answer: Answer) -> Self {
        self.shared.lock().routes.push((path.to_owned(), answer));
        self
    }

    /// Returns the URL of the server, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests that the server has received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }
}

/// Stops the server: cancels delayed responses, closes the connections, and waits for the threads to end.
impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        for (connection, _) in &state.connections {
            // An error means that the client has closed the connection already.
            let _closed = connection.shutdown(Shutdown::Both);
        }
        let threads: Vec<_> = state.connections.drain(..).map(|(_, thread)| thread).collect();
        drop(state);
        self.shared.stopped.notify_all();
        // Wakes the acceptor, which waits for a connection.
        let _wake = TcpStream::connect(self.address);
        for thread in self.acceptor.take().into_iter().chain(threads) {
            let _panicked = thread.join();
        }
    }
}

/// A function that returns the response to a request.
type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

struct Shared {
    state: Mutex<ServerState>,
    stopped: Condvar,
    handler: Option<Handler>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(formatter)
    }
}

#[derive(Debug, Default)]
struct ServerState {
    /// The remaining responses in reverse order, so that the next one is last.
    queue: Vec<Answer>,
    routes: Vec<(String, Answer)>,
    requests: Vec<Request>,
    connections: Vec<(TcpStream, JoinHandle<()>)>,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming().flatten() {
            // The lock is held until the thread is listed, so either `drop` finds the thread or `stopped` is true here.
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            let Ok(handle) = connection.try_clone() else { continue };
            let shared = Arc::clone(self);
            let thread = thread::spawn(move || {
                // Many tests close the connection early.
                let _closed_early = shared.serve(&connection);
                let _closed = connection.shutdown(Shutdown::Both);
            });
            state.connections.push((handle, thread));
        }
    }

    /// Responds to the requests on a connection in order, until the client or the server closes the connection.
    fn serve(&self, connection: &TcpStream) -> io::Result<()> {
        connection.set_nodelay(true)?;
        let mut reader = BufReader::new(connection);
        while let Some(request) = read(&mut reader)? {
            let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            let Some(answer) = self.next(request) else { return Ok(()) };
            if !answer.write(connection, |pause| self.pause(pause))? || close {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Records a request and returns the response to it. Returns `None` if the server was started without any response.
    fn next(&self, request: Request) -> Option<Answer> {
        if let Some(handler) = &self.handler {
            self.lock().requests.push(request.clone());
            return Some(handler(&request));
        }
        let mut state = self.lock();
        let route = state.routes.iter().find(|(path, _)| request.path.starts_with(path.as_str()));
        let routed = route.map(|(_, answer)| answer.clone());
        state.requests.push(request);
        match routed {
            Some(answer) => Some(answer),
            None if state.queue.len() > 1 => state.queue.pop(),
            None => state.queue.last().cloned(),
        }
    }

    /// Waits for the duration `pause`. Fails if the server stops during the wait.
    fn pause(&self, pause: Duration) -> io::Result<()> {
        let wait = self.stopped.wait_timeout_while(self.lock(), pause, |state| !state.stopped);
        let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        if state.stopped { Err(io::Error::other("the server is stopped")) } else { Ok(()) }
    }
}

/// Reads one request from a connection. Returns `None` if the client has closed the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { at: Instant::now(), method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    request.at = Instant::now();
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use serde_json::json;

    use super::*;

    /// Sends `text` on a new connection. Returns everything that the server sends until it closes the connection.
    fn exchange(server: &Server, text: &str) -> String {
        let mut connection = TcpStream::connect(server.address).unwrap();
        connection.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(server: &Server, path: &str) -> String {
        exchange(server, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n"))
    }

    #[test]
    fn responses_follow_a_recording_s_script() {
        for (entry, answer) in [
            (
                json!({"status": 200, "body": "{}"}),
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            ),
            (json!({"status": 204}), "HTTP/1.1 204 No Content\r\n\r\n"),
            (
                json!({"status": 418, "reason": "I'm a teapot", "headers": [["A", "b"]]}),
                "HTTP/1.1 418 I'm a teapot\r\nA: b\r\nContent-Length: 0\r\n\r\n",
            ),
            (json!({"body_b64": "/w==", "headers": [["content-type", "x/y"]], "no_length": true, "drop": true}), ""),
            (
                json!({"body": "ab", "declared_length": 9}),
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\nab",
            ),
            (json!({"body": "ab", "no_length": true}), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\nab"),
            (
                json!({"chunks": ["a", "bc"], "chunk_delay": 0.01, "delay": 0.01}),
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            ),
            (
                json!({"chunks": ["a"], "abort_after_chunks": true}),
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
            ),
        ] {
            assert_eq!(get(&Server::start([Answer::from_script(&entry)]), "/"), answer);
        }
    }

    #[test]
    fn responses_come_in_order_and_the_last_repeats() {
        let server = Server::start([Answer::status(500), Answer::status(201)]).with_route("/aux", Answer::status(404));
        let statuses = ["/", "/aux?q=1", "/a", "/b"].map(|path| get(&server, path)[9..12].to_owned());
        assert_eq!(statuses, ["500", "404", "201", "201"]);
        assert_eq!(server.requests()[1].path, "/aux?q=1");
    }

    #[test]
    fn one_connection_serves_many_requests() {
        let server = Server::start([Answer::status(200)]);
        let answer = exchange(
            &server,
            "POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
        let requests = server.requests();
        assert_eq!(
            (requests[0].text().as_str(), requests[0].header("CONTENT-LENGTH"), requests[1].path.as_str()),
            ("hi", Some("2"), "/b")
        );
    }

    #[test]
    fn server_stops_during_a_response() {
        let server = Server::start([Answer::status(200).after(Duration::from_secs(600))]);
        let mut connection = TcpStream::connect(server.address).unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        drop(server);
        assert_eq!(connection.read(&mut [0]).unwrap_or(0), 0);
    }
}
