//! A fast HTTP server with canned answers. The subjects send their requests to it, so that a measured time contains
//! nothing of a real model.
//!
//! The path of a request chooses nothing. A request whose body contains `"stream"` is answered with `max_tokens`
//! server-sent events, a GET with a list of endpoints, a large body with a body of the same size, and every other request with a chat
//! completion.

use std::convert::Infallible;
use std::io::{self, Write};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::work::LARGE;

/// Serves until the process is ended. Prints the URL of the server first.
pub(crate) async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let service = service_fn(move |request| answers.answer(request));
        // A connection that fails is seen by the subject that made it.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}

/// The bodies of the answers, which are made once.
struct Answers {
    chat: Bytes,
    /// A server-sent event with a chunk.
    event: String,
    /// The last two events of a stream.
    end: String,
    large: Bytes,
    list: Bytes,
}

impl Answers {
    fn new() -> Self {
        let words = "All work and no play makes Jack a dull boy. ".repeat(5);
        let chat = format!(
            r#"{{"id":"chat-1","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":50,"total_tokens":59}}}}"#
        );
        let chunk = r#"{"id":"chat-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}"#;
        let last = r#"{"id":"chat-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        let (event, end) = (format!("data: {chunk}\n\n"), format!("data: {last}\n\ndata: [DONE]\n\n"));
        let large = format!(r#"{{"predictions":["{}"]}}"#, "x".repeat(LARGE));
        let list = r#"{"endpoints":[{"name":"chat","endpoint_type":"llm/v1/chat","model":{"name":"m","provider":"openai"},"endpoint_url":"/gateway/chat/invocations","limit":null}],"next_page_token":null}"#;
        Self { chat: chat.into(), event, end, large: large.into(), list: Bytes::from_static(list.as_bytes()) }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let is_list = *request.method() == Method::GET;
        // A client that has closed its connection reads no answer.
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let is_stream = body.len() < 4096 && body.windows(8).any(|window| window == b"\"stream\"");
        let (content_type, body) = match (is_list, is_stream) {
            (true, _) => ("application/json", self.list.clone()),
            (false, true) => ("text/event-stream", self.events(tokens(&body))),
            (false, false) if body.len() >= LARGE => ("application/json", self.large.clone()),
            (false, false) => ("application/json", self.chat.clone()),
        };
        let mut response = Response::new(Full::new(body));
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
        Ok(response)
    }
    /// Returns a stream of this many chunks.
    fn events(&self, chunks: usize) -> Bytes {
        (self.event.repeat(chunks.saturating_sub(1)) + &self.end).into()
    }
}

/// Returns the number of tokens that a request asks for.
fn tokens(request: &[u8]) -> usize {
    let request: serde_json::Value = serde_json::from_slice(request).unwrap_or_default();
    request["max_tokens"].as_u64().and_then(|tokens| tokens.try_into().ok()).unwrap_or(1)
}
