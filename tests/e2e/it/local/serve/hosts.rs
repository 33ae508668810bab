//! Checks that the server rejects an unknown `Host` header. Otherwise a web page could reach a server on a loopback
//! address through its own host name (DNS rebinding).

use super::super::{Machine, sample};
use super::Served;
use super::http::{Answer, ask};

fn get(served: &Served, head: &str) -> Answer {
    ask(served.address, format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn request_for_another_host_is_rejected() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, "");
    let port = served.address.port();
    let answered = |status: u16, head: &str| {
        let answer = get(&served, head);
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        answer.body
    };
    for host in [
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "127.0.0.1",
        "127.1.2.3:80",
        "[::1]:5000",
        &format!("127.0.0.1:{port}"),
    ] {
        answered(200, &format!("GET /ping HTTP/1.1\r\nHost: {host}"));
        answered(200, &format!("GET /ping HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}"));
        answered(200, &format!("GET http://{host}/ping HTTP/1.1\r\nHost: {host}"));
    }
    for host in
        ["attacker.example", "localhost.attacker.example", "192.168.0.1", "0.0.0.0", "a@localhost", "localhost:x"]
    {
        let body = answered(403, &format!("GET /ping HTTP/1.1\r\nHost: {host}"));
        assert!(body.contains("PERMISSION_DENIED") && body.contains("allowed_hosts"), "{body}");
        answered(403, &format!("GET /no/such/path HTTP/1.1\r\nHost: {host}"));
        answered(403, &format!("GET /ping HTTP/1.1\r\nHost: localhost\r\nOrigin: http://{host}"));
    }
    answered(403, "GET http://attacker.example/ping HTTP/1.1\r\nHost: localhost");
    answered(403, "GET http://localhost/ping HTTP/1.1\r\nHost: attacker.example");
    answered(403, "GET /ping HTTP/1.1\r\nHost: localhost\r\nOrigin: null");
    answered(403, "GET /ping HTTP/1.1\r\nHost:");
    answered(400, "GET /ping HTTP/1.1");
    answered(400, "GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: localhost");
    answered(400, "GET /ping HTTP/1.0\r\nHost: localhost\r\nHost: localhost");
    answered(200, "GET /ping HTTP/1.0");
    answered(403, "GET /ping HTTP/1.0\r\nHost: attacker.example");
}

#[test]
fn request_for_a_configured_host_is_accepted() {
    let machine = Machine::new();
    let served = Served::start(&sample("counts"), &machine, r#"-C allowed_hosts:=["models.example"]"#);
    assert_eq!(get(&served, "GET /ping HTTP/1.1\r\nHost: models.example:80").status, 200);
    assert_eq!(get(&served, "GET /ping HTTP/1.1\r\nHost: other.example").status, 403);
}
