//! The lines of the output: an answer as one line of JSON, and the prediction for each row of a request.

use jiter::{Jiter, JiterResult, Peek};
use mlflow_deploy_plugin_api::{Error, ErrorCode, JSON, Payload, file};
use serde_json::json;

/// Returns an answer as one line of JSON, without the line end. The text of JSON is not changed, except for line ends.
pub(super) fn whole(answer: &Payload) -> Result<Vec<u8>, Error> {
    if answer.bytes().is_empty() {
        return Ok(b"null".to_vec());
    }
    if answer.is_json() {
        // Line ends in JSON are white space between tokens, since strings escape them.
        let bytes = file::without_byte_order_mark(answer.bytes()).trim_ascii();
        return Ok(bytes.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect());
    }
    let text = std::str::from_utf8(answer.bytes()).map_err(|_not_text| {
        let message = format!("the answer is `{}`, which cannot be written as a line", answer.content_type());
        Error::new(ErrorCode::INTERNAL_ERROR, message)
    })?;
    Ok(json!({ "content_type": answer.content_type(), "text": text }).to_string().into_bytes())
}

/// Returns a line for each of `rows` rows: an answer with one prediction. The other members of the answer are dropped.
/// Returns a single row's answer unchanged if it has another form.
///
/// # Errors
/// Fails if the answer does not have a list of as many predictions.
pub(super) fn for_rows(answer: &Payload, rows: usize) -> Result<Vec<Vec<u8>>, Error> {
    let found = if answer.media_type() == JSON { predictions(answer.bytes()).ok().flatten() } else { None };
    match found {
        Some(predictions) if predictions.len() == rows => {
            let line = |prediction: &[u8]| [br#"{"predictions":["#.as_slice(), prediction, b"]}"].concat();
            let mut lines: Vec<_> = predictions.into_iter().map(line).collect();
            for byte in lines.iter_mut().flatten().filter(|byte| matches!(byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
            Ok(lines)
        }
        _ if rows == 1 => Ok(vec![whole(answer)?]),
        other => {
            let found =
                other.map_or("not a list of predictions".to_owned(), |list| format!("{} predictions", list.len()));
            let message = format!(
                "the answer to {rows} rows has {found}, expected one for each row: send each row alone, without `--batch-rows`"
            );
            Err(Error::new(ErrorCode::INTERNAL_ERROR, message))
        }
    }
}

/// Returns the JSON texts in the list `predictions` of an answer; `None` if the answer has no such list.
fn predictions(json: &[u8]) -> JiterResult<Option<Vec<&[u8]>>> {
    // Python writes `NaN` and `Infinity`.
    let mut jiter = Jiter::new(file::without_byte_order_mark(json)).with_allow_inf_nan();
    let mut found = None;
    if jiter.peek()? != Peek::Object {
        return Ok(None);
    }
    let mut key = jiter.known_object()?.map(|key| key == "predictions");
    while let Some(is_wanted) = key {
        let peek = jiter.peek()?;
        if is_wanted && peek == Peek::Array {
            let mut list = Vec::new();
            let mut next = jiter.known_array()?;
            while let Some(peek) = next {
                let start = jiter.current_index();
                jiter.known_skip(peek)?;
                list.push(jiter.slice_to_current(start));
                next = jiter.array_step()?;
            }
            found = Some(list);
        } else {
            jiter.known_skip(peek)?;
        }
        key = jiter.next_key()?.map(|key| key == "predictions");
    }
    jiter.finish()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: Vec<Vec<u8>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn an_answer_is_one_line() {
        for (content_type, answer, line) in [
            (JSON, "{\n  \"a\": \"x\\n\",\r\n \"b\": NaN }\n", "{   \"a\": \"x\\n\",   \"b\": NaN }"),
            (JSON, "", "null"),
            (JSON, "\u{feff}[1]", "[1]"),
            ("text/plain", "a\nb", r#"{"content_type":"text/plain","text":"a\nb"}"#),
        ] {
            assert_eq!(text(vec![whole(&Payload::new(content_type, answer)).unwrap()]), [line]);
        }
        let error = whole(&Payload::new("image/png", vec![0xff])).unwrap_err();
        assert!(error.message().starts_with("the answer is `image/png`"), "{error}");
    }

    #[test]
    fn each_row_has_its_prediction() {
        let lines = |answer: &str, rows| for_rows(&Payload::new(JSON, answer), rows).map(text);
        let answer =
            "{\"took\": 1, \"predictions\": [ [1,\n 2], {\"a\": \"x,]\"} , NaN], \"more\": {\"predictions\": []}}";
        assert_eq!(
            lines(answer, 3).unwrap(),
            [r#"{"predictions":[[1,  2]]}"#, r#"{"predictions":[{"a": "x,]"}]}"#, r#"{"predictions":[NaN]}"#]
        );
        assert_eq!(lines(r#"{"predictions": {"a": [1]}}"#, 1).unwrap(), [r#"{"predictions": {"a": [1]}}"#]);
        assert_eq!(lines("[1]", 1).unwrap(), ["[1]"]);
        for (answer, found) in
            [(r#"{"predictions": [1]}"#, "1 predictions"), ("[1, 2]", "not a list of"), ("{", "not a list of")]
        {
            let error = lines(answer, 2).unwrap_err();
            assert!(error.message().starts_with(&format!("the answer to 2 rows has {found}")), "{error}");
        }
    }
}
