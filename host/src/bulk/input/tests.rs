//! The rows of JSON Lines and CSV, and their groups.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::thread;

use super::*;
use crate::bulk::Finished;
use crate::bulk::ranges::Ranges;

/// Returns a text for each request: its line numbers and its inputs, or its errors.
fn shown(input: BulkInput) -> Vec<String> {
    input
        .map(|request| {
            let request = request.unwrap();
            let readable: Vec<_> =
                (0..request.rows()).filter(|position| request.rows[*position].content.is_ok()).collect();
            let inputs = String::from_utf8(request.inputs(&readable).into_bytes()).unwrap();
            let lines: Vec<_> = request.rows.iter().map(|row| row.line.to_string()).collect();
            let errors = request.rows.iter().filter_map(|row| row.content.as_ref().err()).map(ToString::to_string);
            let errors: String = errors.map(|error| format!(" ({error})")).collect();
            format!("{}: {}{errors}", lines.join("+"), if readable.is_empty() { "" } else { &inputs })
        })
        .collect()
}

fn json_lines(text: &str, form: RowForm, takes_tables: bool) -> BulkInput {
    BulkInput::json_lines(Cursor::new(text.as_bytes().to_vec()), form, takes_tables)
}

#[test]
fn each_line_is_a_request_or_a_row() {
    let text = "\u{feff}{\"messages\": []}\n\n  {\"a\": NaN} \r\n[1, 2]\n[[1]]\n7\n{\"a\": [1], \"inputs\": 2}";
    let requests =
        ["1: {\"messages\": []}", "3: {\"a\": NaN}", "4: [1, 2]", "5: [[1]]", "6: 7", "7: {\"a\": [1], \"inputs\": 2}"];
    assert_eq!(shown(json_lines(text, RowForm::Request, true)), requests);
    assert_eq!(shown(json_lines(text, RowForm::Auto, false)), requests);
    let mut of_a_table_target = requests.map(str::to_owned);
    of_a_table_target[1] = "3: {\"dataframe_records\":[{\"a\": NaN}]}".to_owned();
    of_a_table_target[2] = "4: {\"dataframe_split\":{\"data\":[[1, 2]]}}".to_owned();
    assert_eq!(shown(json_lines(text, RowForm::Auto, true)), of_a_table_target);
    let records = shown(json_lines(text, RowForm::Record, false));
    assert!(records[0].starts_with("1:  (the row is a whole request: expected an object"), "{records:?}");
    assert_eq!(records[1..3], of_a_table_target[1..3]);
    assert!(records[3].contains("the row is a list of lists or objects"), "{records:?}");
    assert!(records[4].contains("the row is a single value"), "{records:?}");
}

#[test]
fn a_line_that_is_not_json_is_an_error_of_its_row() {
    let text = b"{\"a\": 1\n\"\xff\"\n{} {}\n{\"a\":1}\n".to_vec();
    let shown = shown(BulkInput::json_lines(Cursor::new(text), RowForm::Request, false));
    assert_eq!(shown[3], r#"4: {"a":1}"#);
    for (found, expected) in shown.iter().zip([
        "1:  (the row is not JSON: EOF while parsing an object at column 8; expected one JSON value on each line)",
        "2:  (the row is not UTF-8: ",
        "3:  (the row is not JSON: trailing characters at column 4; ",
    ]) {
        assert!(found.starts_with(expected), "{found}");
    }
    let mut utf16 = BulkInput::json_lines(Cursor::new(b"\xff\xfe{\0".to_vec()), RowForm::Auto, false);
    assert!(utf16.next().unwrap().unwrap_err().to_string().starts_with("found UTF-16"));
}

#[test]
fn rows_are_grouped() {
    let text = "{\"a\":1}\n{\"a\":2}\nbad\n{\"a\":4}\n[5]\n[6]\n{\"inputs\":[1]}\n";
    let input = json_lines(text, RowForm::Auto, false).with_batch_rows(3.try_into().unwrap());
    let shown = shown(input);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(
        shown[0].starts_with(r#"1+2+3: {"dataframe_records":[{"a":1},{"a":2}]} (the row is not JSON"#),
        "{shown:?}"
    );
    assert_eq!(shown[1], r#"4: {"dataframe_records":[{"a":4}]}"#, "a row of another form starts a request");
    assert!(shown[2].starts_with(r#"5+6+7: {"dataframe_split":{"data":[[5],[6]]}} (the row is a whole request"#));
}

#[test]
fn a_long_line_does_not_fill_the_memory() {
    let long = io::repeat(b'x').take(200 << 20).chain(Cursor::new(b"\n[1]\n".to_vec()));
    let mut input = BulkInput::json_lines(long, RowForm::Request, false);
    let error = input.next().unwrap().unwrap().rows.remove(0).content.unwrap_err();
    assert_eq!(error.message(), "the row is longer than 64 MiB");
    assert_eq!(shown(input), ["2: [1]"]);
}

#[test]
fn finished_requests_are_skipped_if_the_input_is_the_same() {
    let text = "[0]\n[1]\n[2]\n[3]\n";
    let checksum = json_lines(text, RowForm::Request, false).nth(1).unwrap().unwrap().checksum;
    let mut done = Ranges::default();
    done.add(0, 2);
    done.add(3, 4);
    let finished = Finished { done, first: 2, checksum };
    let resumed = |text: &str| json_lines(text, RowForm::Request, false).skip_finished(finished.clone());
    assert_eq!(shown(resumed(text)), ["3: [2]"]);
    for (other, message) in [
        ("[9]\n[1]\n[2]\n", "the input differs from that of the interrupted run, in its first 2 requests"),
        ("[0]\n", "the input differs from that of the interrupted run: it has 1 requests, of which 2 are finished"),
    ] {
        let error = resumed(other).find_map(Result::err).unwrap();
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[cfg(feature = "csv")]
mod csv {
    use std::io::{Seek, Write};
    use std::os::fd::OwnedFd;

    use super::*;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    }

    fn pipe(text: String) -> File {
        let (reader, mut writer) = io::pipe().unwrap();
        thread::spawn(move || writer.write_all(text.as_bytes()));
        File::from(OwnedFd::from(reader))
    }

    #[test]
    fn columns_have_the_types_of_the_whole_file() {
        let text = "\n n,x,\"t \",flag\n1,1,007,true\n\n2,2.5,\"a\n\"\"b\",\n3,,x,FALSE\n4,5\n";
        for source in [file(text), pipe(text.to_owned())] {
            let input = BulkInput::csv(source).unwrap().with_batch_rows(2.try_into().unwrap());
            let start = r#"{"dataframe_split":{"columns":[" n","x","t ","flag"],"data":["#;
            let first = format!(r#"3+5: {start}[1,1.0,"007",true],[2,2.5,"a\n\"b",null]]}}}}"#);
            let error = "the row has 2 fields, the header line has 4";
            let second = format!(r#"7+8: {start}[3,null,"x",false]]}}}} ({error})"#);
            assert_eq!(shown(input), [first, second]);
        }
    }

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        for text in ["a\r\n1\r\n2\r\n\r\n4\r\n", "a\n1\n2\n\n4", "\u{feff}a\n1\n2\n  \n4\n"] {
            let lines: Vec<_> = BulkInput::csv(file(text)).unwrap().map(|row| row.unwrap().rows[0].line).collect();
            assert_eq!(lines, [2, 3, 5], "{text:?}");
        }
    }

    #[test]
    fn a_late_field_of_another_type_is_an_error_only_in_a_pipe() {
        let text = format!("n,m\n{}x,1\n2.5,1e400\n", "1,1\n".repeat(1_000));
        let of_the_file = shown(BulkInput::csv(file(&text)).unwrap());
        assert!(of_the_file[0].ends_with(r#""data":[["1",1.0]]}}"#), "{}", of_the_file[0]);
        assert!(of_the_file[1_000].ends_with(r#""data":[["x",1.0]]}}"#), "{}", of_the_file[1_000]);
        let of_the_pipe = shown(BulkInput::csv(pipe(text)).unwrap());
        assert!(of_the_pipe[999].ends_with(r#""data":[[1,1]]}}"#), "{}", of_the_pipe[999]);
        let message =
            "1002:  (`x` in the column `n` is not an integer, as the first 1000 rows are: read the input from";
        assert!(of_the_pipe[1_000].starts_with(message), "{}", of_the_pipe[1_000]);
        for shown in [&of_the_file[1_001], &of_the_pipe[1_001]] {
            assert_eq!(shown, "1003:  (JSON has no number for `1e400` in the column `m`)");
        }
    }

    #[test]
    fn an_empty_file_is_an_error() {
        let error = BulkInput::csv(file("\n \n")).unwrap_err();
        assert_eq!(error.to_string(), "the input is empty: expected a header line with the column names");
        assert_eq!(shown(BulkInput::csv(file("a,b\n")).unwrap()).len(), 0);
    }
}
