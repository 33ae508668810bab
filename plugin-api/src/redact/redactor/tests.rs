//! Tests that secrets are redacted in each encoding. The tests in `plugins/support/http` and `tests/e2e` cover every
//! part of a server's response.

use super::*;

fn redactor(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets.iter().copied().map(Secret::new))
}

const SECRET: &str = "S3cr3tT0k3nQw/ErTy+abé&\"cdef==";

#[test]
fn every_encoding_of_a_secret_is_replaced() {
    for said in [
        SECRET,
        // Percent-encoding: upper and lower case, partial, of every byte, twice, three times, as a form.
        "S3cr3tT0k3nQw%2FErTy%2Bab%C3%A9%26%22cdef%3D%3D",
        "S3cr3tT0k3nQw%2fErTy%2bab%c3%a9%26%22cdef%3d%3d",
        "S3cr3tT0k3nQw/ErTy+ab%C3%A9&%22cdef%3D=",
        "%53%33%63%72%33%74%54%30%6b%33%6e%51%77%2f%45%72%54%79%2b%61%62%c3%a9%26%22%63%64%65%66%3d%3d",
        "S3cr3tT0k3nQw%252FErTy%252Bab%25C3%25A9%2526%2522cdef%253D%253D",
        "S3cr3tT0k3nQw%25252FErTy%25252Bab%2525C3%2525A9%252526%252522cdef%25253D%25253D",
        "S3cr3tT0k3nQw/ErTy ab%u00e9&\"cdef==",
        // JSON: of PHP, Gson, .NET and Python, of every character, and JSON in JSON.
        r#"S3cr3tT0k3nQw\/ErTy+ab\u00e9&\"cdef=="#,
        r#"S3cr3tT0k3nQw/ErTy+abé\u0026\"cdef\u003d\u003d"#,
        r"S3cr3tT0k3nQw\u002FErTy\u002Bab\u00E9\u0026\u0022cdef==",
        r"\u0053\u0033\u0063\u0072\u0033\u0074\u0054\u0030\u006b\u0033\u006e\u0051\u0077\u002f\u0045\u0072\u0054\u0079\u002b\u0061\u0062\u00e9\u0026\u0022\u0063\u0064\u0065\u0066\u003d\u003d",
        r#"S3cr3tT0k3nQw\\\/ErTy\\u002bab\\u00e9\\u0026\\\"cdef\\u003d\\u003d"#,
        // HTML: by name, in decimal and hexadecimal, with zeros, twice, without the semicolon.
        "S3cr3tT0k3nQw&sol;ErTy&plus;ab&eacute;&amp;&quot;cdef&equals;&equals;",
        "S3cr3tT0k3nQw&#47;ErTy&#43;ab&#233;&#38;&#34;cdef&#61;&#61;",
        "S3cr3tT0k3nQw&#x2F;ErTy&#x2b;ab&#xe9;&#X26;&#x22;cdef&#x3d;&#x3D;",
        "S3cr3tT0k3nQw&#0000047;ErTy&#x00002b;ab&#0233;&#038;&#034;cdef&#0061;&#061;",
        "S3cr3tT0k3nQw&amp;#47;ErTy&amp;plus;ab&amp;eacute;&amp;amp;&amp;quot;cdef==",
        "S3cr3tT0k3nQw&#47ErTy&#43ab&#233&#38&#34cdef&#61&#61",
        // Nested encodings.
        r"S3cr3tT0k3nQw\u00252FErTy&#37;2Bab\u0026eacute;%26amp%3B%5Cu0022cdef%3D%3D",
        // Base64: padded, unpadded, URL-safe, after one and two bytes, wrapped, escaped; and hexadecimal.
        "UzNjcjN0VDBrM25Rdy9FclR5K2Fiw6kmImNkZWY9PQ==",
        "UzNjcjN0VDBrM25Rdy9FclR5K2Fiw6kmImNkZWY9PQ",
        "UzNjcjN0VDBr\r\nM25Rdy9FclR5K2Fiw6kmImNkZWY9PQ%3D%3D",
        "53336372337454306b336e51772f457254792b6162c3a92622636465663d3d",
        "53336372337454306B336E51772F457254792B6162C3A92622636465663D3D",
        // Backslashes in a URL.
        "S3cr3tT0k3nQw/u002FErTy/u002Bab/u00E9/u0026/u0022cdef==",
        // In lower case, as in a host name, and wrapped.
        "s3cr3tt0k3nqw/erty+abé&\"cdef==",
        "S3cr3tT0\nk3nQw/Er\nTy+abé&\"\ncdef==",
        r#"S3cr3tT0\nk3nQw/Er\nTy+abé&\"\ncdef=="#,
    ] {
        assert_eq!(redactor(&[SECRET]).hide(&format!("no: {said}!")), "no: <redacted>!", "{said}");
    }
    // After `x:` and `xy:`, and before `!`: only characters without bits of the secret remain.
    let secret = redactor(&["hunter2hunter2"]);
    for (said, shown) in
        [("eDpodW50ZXIyaHVudGVyMiE=", "eDpo"), ("eHk6aHVudGVyMmh1bnRlcjIh", "eHk6"), ("OiBodW50ZXIyaHVudGVyMg", "OiBo")]
    {
        let hidden = secret.hide(said);
        assert!(hidden.contains(REDACTED) && hidden.len() <= shown.len() + REDACTED.len() + 4, "{hidden}");
    }
}

#[test]
fn a_secret_that_looks_like_an_escape_is_found_in_both_forms() {
    let secret = redactor(&["a%2Fb%2Fc-token"]);
    for said in ["a%2Fb%2Fc-token", "a/b/c-token", "a%252Fb%252Fc-token", r"a%2Fb\/c-token"] {
        assert_eq!(secret.hide(said), REDACTED, "{said}");
    }
}

#[test]
fn a_long_beginning_or_end_of_a_secret_is_replaced() {
    let token = redactor(&["tokn0123456789"]);
    for (said, shown) in [
        ("bad tokn0123456789 tokn01234", "bad <redacted> <redacted>"),
        ("bad tokn0", "bad tokn0"),
        ("bad tokn01", "bad <redacted>"),
        ("bad tokn01, go", "bad tokn01, go"),
        ("bad tokn0123456..., go", "bad <redacted>..., go"),
        ("456789 is bad", "<redacted> is bad"),
        ("…23456789: bad", "…<redacted>: bad"),
    ] {
        assert_eq!(token.hide(said), shown);
    }
    let escaped = redactor(&["tokn/012/345"]);
    for cut in ["no: tokn%2F012%2", "no: tokn\\/012\\", "no: tokn&#47;012&#x"] {
        assert_eq!(escaped.hide(cut), "no: <redacted>", "{cut}");
    }
    assert_eq!(redactor(&["ßßßßßß"]).hide("ßßßßß"), REDACTED);
}

#[test]
fn a_secret_that_contains_another_is_replaced_whole() {
    assert_eq!(redactor(&["abcdef", "abcdef-ghijkl"]).hide("abcdef-ghijkl, abcdef"), "<redacted>, <redacted>");
    assert_eq!(redactor(&["X-abc0123", "abc0123456789"]).hide("X-abc0123456789!"), "<redacted>!");
}

#[test]
fn other_text_is_unchanged() {
    let none = redactor(&["12345", "--------", "a-b"]);
    for said in ["12345", "--------", "a-b", "100% & \\ more", "disk-abcdefghijk", "a task-force, sk-1", "sk-", ""] {
        assert_eq!(none.hide(said), said);
    }
}

#[test]
fn words_that_look_like_keys_are_replaced() {
    let hidden = redactor(&[]).hide("key sk-proj-ab12***xyz, token=dapi0123456789 eyJhbGciOi.eyJzdWIi.x!");
    assert_eq!(hidden, "key <redacted>, token=<redacted> <redacted>!");
}

/// If the time of the search were not linear in the length of the text, this test would time out.
#[test]
fn a_long_text_is_searched_in_linear_time() {
    let secrets = redactor(&["t0k3n-".repeat(1000).as_str(), SECRET]);
    for text in ["t0k3n-", "t0k3n!", "%", "%25", "\\", "\\\\", "&#0", "&amp;", "&", "S3cr3t", "eyJ", "x eyJ."] {
        let hidden = secrets.hide(&text.repeat(if cfg!(miri) { 20 } else { 50_000 }));
        assert!(!hidden.contains("t0k3n-t0k3n-"), "{text}");
    }
}
