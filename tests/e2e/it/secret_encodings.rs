//! Checks that a failing run does not print a secret, even if the server repeats the secret in another encoding. The
//! tests cover each target, each mode of the command, and each place of a response. Every response contains all
//! encodings at once.

use std::sync::Mutex;
use std::thread;

use mlflow_deploy_test_support::server::{Answer, Server};
use mlflow_deploy_test_support::spelling;

use crate::command::{Run, mlflow_deploy};

/// The secret that the server repeats. Each encoding changes at least one of its characters. All of its characters are
/// valid in a header, and in JSON without escapes.
const SECRET: &str = "S3cr3tT0k3nQw/ErTy+abcd&ef==";
/// The secret, percent-encoded for a URL.
const ENCODED: &str = "S3cr3tT0k3nQw%2FErTy%2Babcd%26ef%3D%3D";
/// The password of a proxy: in plain text, and percent-encoded for the URL of the proxy.
const PROXY: [&str; 2] = ["pR0xyW0rd9/9+x&yz=", "pR0xyW0rd9%2F9%2Bx%26yz%3D"];

/// The kind of call to test. It decides which parts of a response the plugin reads.
#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Create,
    Deployments,
    Fetch,
    List,
    Predict,
    Stream,
}

/// A target to test: its plugin, the kinds of calls, and a function that adds the server's URL and the credentials to a
/// run.
struct Target {
    plugin: &'static str,
    verbs: &'static [Verb],
    ask: fn(Run, &str) -> Run,
}

const TARGETS: [Target; 11] = [
    Target {
        plugin: "mlflow-deploy-openai",
        verbs: &[Verb::List, Verb::Predict, Verb::Stream],
        ask: |run, url| {
            let run = run.arg("-t").arg("openai").env("OPENAI_API_BASE", url).env("OPENAI_API_KEY", SECRET);
            run.arg("--option").arg("allow_http:=true")
        },
    },
    Target {
        plugin: "mlflow-deploy-gateway",
        verbs: &[Verb::List, Verb::Predict, Verb::Stream],
        ask: |run, url| run.arg("-t").arg(url).arg("--option").arg(format!("token={SECRET}")),
    },
    Target {
        plugin: "mlflow-deploy-gateway",
        verbs: &[Verb::List],
        ask: |run, url| {
            let run = run.arg("-t").arg(url).arg("--option").arg("username=alice");
            run.arg("--option").arg(format!("password={SECRET}"))
        },
    },
    Target {
        plugin: "mlflow-deploy-databricks",
        verbs: &[Verb::List, Verb::Predict, Verb::Stream],
        ask: |run, url| {
            let run = run.arg("-t").arg("databricks").env("DATABRICKS_HOST", url).env("DATABRICKS_TOKEN", SECRET);
            run.arg("--option").arg("allow_http:=true")
        },
    },
    Target {
        plugin: "mlflow-deploy-local",
        verbs: &[Verb::Create],
        ask: |run, url| {
            let run = run.arg("-t").arg("local").arg("--option").arg(format!("tracking_uri={url}"));
            run.arg("--option").arg(format!("token={SECRET}"))
        },
    },
    Target {
        plugin: "mlflow-deploy-local",
        verbs: &[Verb::Fetch],
        ask: |run, url| {
            let run = run.arg("-t").arg("local").arg("-m").arg("s3://bucket/m").env("MLFLOW_S3_ENDPOINT_URL", url);
            let run = run.env("AWS_ACCESS_KEY_ID", "AKIA0").env("AWS_SECRET_ACCESS_KEY", SECRET);
            run.env("AWS_SESSION_TOKEN", SECRET)
        },
    },
    Target {
        plugin: "mlflow-deploy-local",
        verbs: &[Verb::Fetch],
        ask: |run, url| {
            let connection = format!("BlobEndpoint={url}/a;AccountName=a;SharedAccessSignature=sv=1&sig={ENCODED}");
            let run = run.env("AZURE_STORAGE_CONNECTION_STRING", connection);
            run.arg("-t").arg("local").arg("-m").arg("abfss://c@a.dfs.core.windows.net/m")
        },
    },
    Target {
        plugin: "mlflow-deploy-local",
        verbs: &[Verb::Fetch],
        ask: |run, url| {
            let run = run.env("DATABRICKS_HOST", url).env("DATABRICKS_TOKEN", SECRET);
            run.arg("-t").arg("local").arg("-m").arg("dbfs:/m")
        },
    },
    Target {
        plugin: "mlflow-deploy-v2",
        verbs: &[Verb::Deployments, Verb::Predict],
        ask: |run, url| run.arg("-t").arg(format!("v2+{url}")).arg("--option").arg(format!("token={SECRET}")),
    },
    Target {
        plugin: "mlflow-deploy-ray",
        verbs: &[Verb::Create],
        ask: |run, url| {
            let run = run.arg("-t").arg("ray").arg("--option").arg(format!("address={url}"));
            run.arg("--option").arg(format!("token={SECRET}"))
        },
    },
    Target {
        plugin: "mlflow-deploy-sagemaker",
        verbs: &[Verb::Deployments, Verb::Predict, Verb::Stream],
        ask: |run, url| {
            let run = run.arg("-t").arg("sagemaker:/us-east-1").env("AWS_ENDPOINT_URL", url);
            let run = run.env("AWS_ACCESS_KEY_ID", "AKIDTEST").env("AWS_SECRET_ACCESS_KEY", SECRET);
            run.env("AWS_SESSION_TOKEN", SECRET)
        },
    },
];

/// A function that changes a run. It gets the URL of the server, and returns the URL and the environment variables for
/// the run.
type Change = Box<dyn Fn(&str) -> (String, Vec<(&'static str, String)>) + Send>;

fn run(verb: Verb, mode: &str, target: &Target, url: &str, state: &str) -> Run {
    let verb = match verb {
        Verb::Create => "create --name x -m models:/m-1",
        Verb::Deployments => "list",
        Verb::Fetch => "create --name x",
        Verb::List => "list-endpoints",
        Verb::Predict => "predict --endpoint m -I -",
        Verb::Stream => "predict --stream --endpoint m -I -",
    };
    let run = mlflow_deploy(&format!("{verb} {mode}")).plugin(target.plugin).stdin(r#"{"messages":[]}"#);
    let run = run.env("MLFLOW_DEPLOY_LOCAL_STATE", state).env("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
    (target.ask)(run.env("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"), url)
}

/// Returns responses that contain the secret in different places. Each has a name for the place, and the number of
/// retries that the run makes.
fn places(verb: Verb, secret: &str) -> Vec<(&'static str, Answer, u8)> {
    let all = spelling::all(secret);
    let json = format!(
        r#"{{"error_code":"X","message":"{all}","detail":"{all}","error":{{"message":"{all}","code":"{all}"}},"x":["{all}"]}}"#
    );
    let flat = all.replace(" , ", ",");
    let busy = || Answer::new(503, json.clone()).header("retry-after-ms", "1");
    let mut places = vec![
        ("JSON", Answer::new(401, json.clone()), 0),
        ("JSON of a 400", Answer::new(400, json.clone()), 0),
        ("invalid JSON", Answer::new(400, format!("{{\"message\":\"{all}")), 0),
        ("a body that breaks off", Answer::new(403, json.clone()).declared_length(1 << 20), 0),
        ("text", Answer::new(400, all.clone()).header("content-type", "text/plain"), 0),
        (
            "a page",
            Answer::new(403, format!("<html><title>{all}</title><p>{all}")).header("content-type", "text/html"),
            0,
        ),
        (
            "a page of a success",
            Answer::new(200, format!("<html><title>{all}</title>")).header("content-type", "text/html"),
            0,
        ),
        (
            "headers",
            Answer::status(401)
                .header("x-request-id", &all)
                .header("www-authenticate", &format!("Bearer realm=\"{all}\""))
                .header("server", &all),
            0,
        ),
        ("the reason", Answer::status(500).reason(&all), 0),
        ("a redirect", Answer::status(302).header("location", &format!("http://far.test/{flat}?{flat}#{flat}")), 0),
        ("a redirect to a host", Answer::status(302).header("location", &format!("http://{secret}.far.test/")), 0),
        ("a warning of a retry", busy(), 1),
    ];
    let event = |data: String| {
        let event = format!("data: {{\"id\":\"1\"}}\n\ndata: {data}\n\n");
        let (one, other) = event.split_at(event.len() / 2 - 40);
        Answer::chunks([one.to_owned(), other.to_owned()])
    };
    if matches!(verb, Verb::Create | Verb::Deployments | Verb::Fetch | Verb::List) {
        places.extend([
            ("a text for an object", Answer::new(200, format!("\"{all}\"")), 0),
            (
                "a text for a list",
                Answer::new(200, format!(r#"{{"endpoints":"{all}","data":"{all}","model":"{all}"}}"#)),
                0,
            ),
            ("a body that is not JSON", Answer::new(200, format!("{{\"{all}")), 0),
        ]);
    }
    match verb {
        Verb::Create => places.push((
            "artifact location",
            Answer::new(200, format!(r#"{{"model":{{"info":{{"artifact_uri":"s3://{flat}"}}}}}}"#)),
            0,
        )),
        Verb::Fetch => places.push((
            "XML",
            Answer::new(403, format!("<Error><Code>{flat}</Code><Message>{all}</Message></Error>")),
            0,
        )),
        Verb::Deployments | Verb::List => {}
        Verb::Predict => places.extend([
            ("a type", Answer::new(200, "x").header("content-type", &format!("text/{flat}")), 0),
            ("text of a success", Answer::new(200, all.clone()).header("content-type", "text/plain"), 0),
        ]),
        Verb::Stream => places.extend([
            ("an event that fails", event(json.clone()), 0),
            ("an event of another kind", event(format!(r#"{{"type":"error","message":"{all}","code":"{all}"}}"#)), 0),
            ("an event that is not JSON", event(format!("{{\"{all}")), 0),
            ("an event by its name", Answer::chunks([format!("event: error\ndata: {all}\n\n")]), 0),
        ]),
    }
    places
}

/// One tested combination: a run of the command, the response of the server, and the secret that the run must not
/// print.
struct Cell {
    about: String,
    answer: Option<Answer>,
    /// Creates the run of the command for a server with this URL.
    run: Box<dyn FnOnce(&str) -> Run + Send>,
    secret: &'static str,
}

/// Returns the tested combinations of a target, a place of the secret in the response, and a mode of the command.
fn cells(state: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (target, verb) in TARGETS.iter().flat_map(|target| target.verbs.iter().map(move |verb| (target, *verb))) {
        let mut add = |place: &str, mode: &'static str, retries: u8, answer, secret, change: Change| {
            let state = state.to_owned();
            let run = Box::new(move |url: &str| {
                let (url, variables) = change(url);
                let run = run(verb, mode, target, &url, &state).arg("--option").arg(format!("max_retries:={retries}"));
                variables.into_iter().fold(run, |run, (name, value)| run.env(name, value))
            });
            cells.push(Cell { about: format!("{} {place} {mode}", target.plugin), answer, run, secret });
        };
        for (index, (place, answer, retries)) in places(verb, SECRET).into_iter().enumerate() {
            // Each place is tested in two modes, and the first place in all modes.
            let modes =
                if index == 0 { ["", "--json", "-v", "-vv", "-vv --json"].as_slice() } else { &["", "-vv --json"] };
            for mode in modes {
                add(place, mode, retries, Some(answer.clone()), SECRET, Box::new(|url| (url.to_owned(), Vec::new())));
            }
        }
        let all = Answer::new(400, spelling::all(SECRET));
        add("TLS", "-vv", 0, Some(all), SECRET, Box::new(|url| (url.replace("http:", "https:"), Vec::new())));
        add("no server", "-vv", 0, None, SECRET, Box::new(|_| ("http://127.0.0.1:1".to_owned(), Vec::new())));
        // The proxy repeats its credentials, in the response to a request and to the request for a tunnel.
        let secrets = spelling::all(PROXY[0]);
        for (mode, far) in [("", "http://far.test/"), ("-vv --json", "http://far.test/"), ("-vv", "https://far.test/")]
        {
            let answer = Answer::new(407, secrets.clone()).header("proxy-authenticate", &secrets).reason(&secrets);
            let change = move |url: &str| {
                let proxy = url.replace("://", &format!("://alice:{}@", PROXY[1]));
                (far.to_owned(), vec![("HTTP_PROXY", proxy.clone()), ("HTTPS_PROXY", proxy)])
            };
            add("a proxy", mode, 0, Some(answer), PROXY[0], Box::new(change));
        }
        for wrong in ["alice:{}@127.0.0.1:8080", "http://alice:{}@127.0.0.1:80800", "ftp://alice:{}@h"] {
            let change =
                move |_: &str| ("https://far.test/".to_owned(), vec![("HTTPS_PROXY", wrong.replace("{}", PROXY[0]))]);
            add("a wrong proxy", "-vv --json", 0, None, PROXY[0], Box::new(change));
        }
    }
    // The error message about a repeated page token contains the token of a successful response.
    let token =
        format!(r#"{{"endpoints":[],"data":[{{"id":"{0}"}}],"has_more":true,"next_page_token":"{0}"}}"#, SECRET);
    for target in TARGETS.iter().filter(|target| ["openai", "gateway"].iter().any(|name| target.plugin.ends_with(name)))
    {
        let state = state.to_owned();
        cells.push(Cell {
            about: format!("{} a page token", target.plugin),
            answer: Some(Answer::new(200, token.clone())),
            run: Box::new(move |url| run(Verb::List, "-vv", target, url, &state)),
            secret: SECRET,
        });
    }
    cells
}

#[test]
fn no_encoding_of_a_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let (mut runs, mut bytes) = (0, 0);
    let (left, leaks) = (Mutex::new(cells(&state)), Mutex::new(Vec::<String>::new()));
    let outputs = thread::scope(|scope| {
        let work = || {
            let mut outputs = Vec::new();
            loop {
                let Some(Cell { about, answer, run, secret }) = left.lock().unwrap().pop() else { return outputs };
                let server = answer.map(|answer| Server::start([answer]));
                let ran = run(&server.as_ref().map_or_else(String::new, Server::url)).run();
                drop(server);
                assert!(ran.code != 0 && !ran.stderr.is_empty(), "{about} did not fail: {ran:?}");
                let output = ran.stdout + &ran.stderr;
                if let Some((spelling, found)) = spelling::leak(&output, secret) {
                    leaks.lock().unwrap().push(format!("{about} shows `{found}` of the spelling {spelling}: {output}"));
                }
                outputs.push(output.len());
            }
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for length in outputs {
        (runs, bytes) = (runs + 1, bytes + length);
    }
    let leaks = leaks.into_inner().unwrap();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    let cells = runs * spelling::spellings(SECRET).len();
    println!("searched for secrets: {cells} cells in {runs} failing runs, {bytes} bytes; leaks: 0");
}
