//! CSV as the JSON that MLflow's model servers read: `dataframe_split`.

use serde_json::{Number, Value, json};

/// Makes `{"dataframe_split": {"columns": […], "data": […]}}` of CSV whose first line names the columns.
///
/// A column is one of numbers only where every number in it is written back as it stands, so that `007` and `1.50` stay
/// text. An empty cell is `null`.
pub(crate) fn dataframe_split(csv: &[u8]) -> Result<Vec<u8>, String> {
    // Spreadsheets open what they write with a byte order mark, which is no part of the first name.
    let mut reader = csv::Reader::from_reader(csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv));
    let columns: Vec<_> = reader.headers().map_err(|error| describe(&error))?.iter().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err("it is empty: expected a line that names the columns".to_owned());
    }
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().map_err(|error| describe(&error))?;
    let is_number: Vec<_> =
        (0..columns.len()).map(|at| rows.iter().all(|row| row[at].is_empty() || number(&row[at]).is_some())).collect();
    let cell = |(text, is_number): (&str, &bool)| match number(text) {
        _ if text.is_empty() => Value::Null,
        Some(number) if *is_number => Value::Number(number),
        _ => Value::from(text),
    };
    let data: Vec<Vec<_>> = rows.iter().map(|row| row.iter().zip(&is_number).map(cell).collect()).collect();
    Ok(json!({ "dataframe_split": { "columns": columns, "data": data } }).to_string().into_bytes())
}

/// What is wrong, and in which line.
fn describe(error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fields = if *len == 1 { "field" } else { "fields" };
            format!("line {line} has {len} {fields}, and the first has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("line {line} is not UTF-8"),
        _ => error.to_string(),
    }
}

/// The number that is written exactly so.
fn number(text: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(text).ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers_only_where_nothing_is_lost() {
        let csv =
            "\u{feff}i,f,zip,long,mixed,empty,text\n1,0.5,007,12345678901234567890123,1,,\"a,b\"\n-2,,8001,1,x,,é\n";
        let split = String::from_utf8(dataframe_split(csv.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            split,
            r#"{"dataframe_split":{"columns":["i","f","zip","long","mixed","empty","text"],"data":[[1,0.5,"007","12345678901234567890123","1",null,"a,b"],[-2,null,"8001","1","x",null,"é"]]}}"#
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (csv, message) in [
            (b"".as_slice(), "it is empty"),
            (b"a,b\n1\n", "line 2 has 1 field, and the first has 2"),
            (b"a\n1\n1,2\n", "line 3 has 2 fields, and the first has 1"),
            (b"a\n\xff\n", "line 2 is not UTF-8"),
            (b"\xff\n", "line 1 is not UTF-8"),
        ] {
            let error = dataframe_split(csv).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
