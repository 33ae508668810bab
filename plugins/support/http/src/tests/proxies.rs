//! Tests of proxies: the requests that are sent through a proxy, and the errors that name the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use mlflow_deploy_plugin_api::ErrorCode;

use super::*;
use crate::connect::{Proxies, ProxySetting};

const SECRET: &str = "pr0xy/S3cret";
const ENCODED: &str = "pr0xy%2FS3cret";

fn client(url: &str, bypass: &str) -> Client {
    let both = |variable: &str| Some(ProxySetting { variable: variable.to_owned(), url: Secret::new(url) });
    let proxies = Proxies { http: both("http_proxy"), https: both("HTTPS_PROXY"), bypass: bypass.to_owned() };
    Client::new(Connection { proxies, ..Connection::default() })
}

async fn ask(client: &Client, url: &str) -> Result<Response> {
    let result = send(client, &request(Method::GET, url), &policy()).await;
    if let Err(error) = &result {
        assert_no_secret(error);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(SECRET) && !shown.contains(ENCODED), "{shown}");
    }
    result
}

/// Adds a user and a password to the URL of a server.
fn with_password(url: &str) -> String {
    url.replace("http://", &format!("http://alice:{ENCODED}@"))
}

#[tokio::test]
async fn requests_use_the_proxy_except_to_this_machine() {
    let proxy = Server::start([Answer::new(200, "proxied")]);
    let direct = Server::start([Answer::new(200, "direct")]);
    let client = client(&with_password(&proxy.url()), "direct.test,near.test:81");
    let all = direct.url().replace("127.0.0.1", "0.0.0.0");
    for (url, expected) in [
        (direct.url(), "direct"),
        (all, "direct"),
        ("http://far.test/p".to_owned(), "proxied"),
        ("http://near.test/p".to_owned(), "proxied"),
    ] {
        let response = ask(&client, &url).await.unwrap();
        assert_eq!(response.payload.bytes(), expected.as_bytes(), "{url}");
    }
    for url in ["http://direct.test", "http://near.test:81"] {
        let error = ask(&client, url).await.unwrap_err();
        assert!(error.message().starts_with(&format!("failed to connect to `{url}/`: failed to lookup")), "{error}");
    }
    let seen = proxy.requests();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].path.as_str(), seen[0].header("host")), ("http://far.test/p", Some("far.test")));
    assert_eq!(seen[0].header("proxy-authorization"), Some("Basic YWxpY2U6cHIweHkvUzNjcmV0"));
    assert!(direct.requests().iter().all(|request| request.header("proxy-authorization").is_none()));
}

#[tokio::test]
async fn a_wrong_proxy_fails_what_would_use_it() {
    for (wrong, reason) in [
        (format!("http://me:{TOKEN}@:bad"), "is not the URL of a proxy"),
        (format!("me:{TOKEN}/x@127.0.0.1:8080"), "is not the URL of a proxy"),
        (format!("me:{TOKEN}#x@127.0.0.1:8080"), "is not the URL of a proxy"),
        (format!("me:{TOKEN}?x@127.0.0.1:8080"), "is not the URL of a proxy"),
        (format!("me:{TOKEN}@127.0.0.1:80800"), "is not the URL of a proxy"),
        (format!("http://me:p{TOKEN}@x#1@127.0.0.1:80"), "is not the URL of a proxy"),
        (format!("ftp://me:{TOKEN}@127.0.0.1:80"), "has the scheme `ftp`"),
        (format!("socks://me:{TOKEN}@127.0.0.1:80"), "has the scheme `socks`"),
    ] {
        let client = client(&wrong, "");
        let direct = Server::start([Answer::new(200, "direct")]);
        ask(&client, &direct.url()).await.unwrap();
        for (url, variable) in [("http://far.test", "http_proxy"), ("https://far.test", "HTTPS_PROXY")] {
            let error = ask(&client, url).await.unwrap_err();
            assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE, "{wrong}: {error}");
            assert!(error.message().starts_with(&format!("`{variable}` {reason}")), "{error}");
            assert!(!error.is_retryable());
        }
        assert!(!format!("{client:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_failure_of_the_proxy_is_said_of_the_proxy() {
    let refused = |status| Server::start([Answer::new(status, "no")]);
    for (status, reason, attempts) in [
        (403, "403 Forbidden", 1),
        (407, "407 Proxy Authentication Required; set its user and password in the variable", 1),
        (502, "502 Bad Gateway; gave up after 3 attempts", 3),
    ] {
        let proxy = refused(status);
        let error = ask(&client(&with_password(&proxy.url()), ""), "https://far.test/x").await.unwrap_err();
        let expected = format!(
            "failed to connect to `https://far.test/x` through the proxy `{}` of `HTTPS_PROXY`: it answered `CONNECT \
             far.test:443` with {reason}",
            proxy.url()
        );
        assert!(error.message().starts_with(&expected), "{error}");
        // After each refusal, the proxy is asked again for its status.
        assert_eq!((error.code(), proxy.requests().len()), (&ErrorCode::TEMPORARILY_UNAVAILABLE, 2 * attempts));
        assert_eq!(proxy.requests()[0].header("proxy-authorization"), Some("Basic YWxpY2U6cHIweHkvUzNjcmV0"));
        assert_eq!(proxy.requests()[0].header("authorization"), None);
    }
    let proxy = refused(407);
    let error = ask(&client(&with_password(&proxy.url()), ""), "http://far.test/x").await.unwrap_err();
    let expected = format!("this is the answer of the proxy `{}` of `http_proxy`: set its user", proxy.url());
    assert!(error.message().contains(&expected), "{error}");
    let proxy = refused(403);
    let error = ask(&client(&proxy.url(), ""), "http://far.test/x").await.unwrap_err();
    let expected = format!(": no; the answer came through the proxy `{}` of `http_proxy`", proxy.url());
    assert!(error.message().ends_with(&expected), "{error}");

    let down = closed().replace("/p?q=1", "");
    for url in ["http://far.test/x", "https://far.test/x"] {
        for (proxy, scheme) in [(with_password(&down), "http"), (down.replace("http", "socks5h"), "socks5h")] {
            let error = ask(&client(&proxy, ""), url).await.unwrap_err();
            let expected = format!("to `{url}` through the proxy `{scheme}://127.0.0.1:");
            assert!(error.message().contains(&expected), "{error}");
            assert!(error.message().contains("`: Connection refused (os error 111); gave up"), "{error}");
            assert!(error.is_retryable());
        }
    }
}

/// Starts a SOCKS5 proxy for one connection, which connects to `server` regardless of the requested host, and replies
/// with `status`. Returns the proxy's address, and a thread that returns the messages that the proxy received.
fn socks(server: &Server, status: u8) -> (String, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = server.url().replace("http://", "");
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut messages = Vec::new();
        let mut read = |client: &mut TcpStream| {
            let mut message = vec![0; 512];
            let length = client.read(&mut message).unwrap();
            message.truncate(length);
            messages.push(message.clone());
            message
        };
        let methods = read(&mut client);
        client.write_all(&[5, methods[2]]).unwrap();
        if methods[2] == 2 {
            read(&mut client);
            client.write_all(&[1, 0]).unwrap();
        }
        read(&mut client);
        client.write_all(&[5, status, 0, 1, 127, 0, 0, 1, 0, 80]).unwrap();
        if status == 0 {
            let mut upstream = TcpStream::connect(server).unwrap();
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).unwrap();
            upstream.write_all(&request[..length]).unwrap();
            upstream.shutdown(std::net::Shutdown::Write).unwrap();
            std::io::copy(&mut upstream, &mut client).unwrap();
        }
        messages
    });
    (address, thread)
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name_or_gets_its_address() {
    let server = Server::start([Answer::new(200, "behind")]);
    let (address, proxy) = socks(&server, 0);
    let remote = client(&format!("socks5h://alice:{ENCODED}@{address}"), "");
    let response = ask(&remote, "http://far.test/p").await.unwrap();
    assert_eq!(response.payload.bytes(), b"behind");
    assert_eq!(server.requests()[0].path, "/p");
    let messages = proxy.join().unwrap();
    assert_eq!(messages[1], [&[1, 5][..], b"alice", &[12], SECRET.as_bytes()].concat());
    assert_eq!(messages[2], [&[5, 1, 0, 3, 8][..], b"far.test", &[0, 80]].concat());

    let (address, proxy) = socks(&server, 0);
    let local = client(&format!("socks5://{address}"), "");
    ask(&local, "http://192.0.2.7:8080/p").await.unwrap();
    assert_eq!(proxy.join().unwrap()[1], [5, 1, 0, 1, 192, 0, 2, 7, 0x1f, 0x90]);
    let error = ask(&local, "http://no-such-name.invalid/").await.unwrap_err();
    assert!(
        error.message().starts_with("failed to connect to `http://no-such-name.invalid/`: failed to lookup"),
        "{error}"
    );

    let (address, proxy) = socks(&server, 4);
    let refused = Client::new(Connection {
        proxies: Proxies {
            http: Some(ProxySetting {
                variable: "ALL_PROXY".to_owned(),
                url: Secret::new(format!("socks5h://{address}")),
            }),
            ..Proxies::default()
        },
        ..Connection::default()
    });
    let once = Policy { max_retries: 0, ..policy() };
    let error = send(&refused, &request(Method::GET, "http://far.test/"), &once).await.unwrap_err();
    let expected = format!("through the proxy `socks5h://{address}` of `ALL_PROXY`: SOCKS error: ");
    assert!(error.message().contains(&expected) && error.message().contains("unreachable"), "{error}");
    proxy.join().unwrap();
}
