//! Checks elements of each numpy dtype against those that the real numpy returns.

use std::fs;

use mlflow_deploy::predictions::half::f16;
use mlflow_deploy::predictions::ndarray::ArrayD;
use mlflow_deploy::predictions::num_complex::Complex;
use mlflow_deploy::predictions::{Datetime64, Element, Timedelta64, time_unit};
use mlflow_deploy::{PredictionsResponse, predictions};
use mlflow_deploy_test_support::peers;

/// The deliberate differences from numpy: the beginning of the dtype's name, the value in JSON (`*` for any), and a
/// text from the row of the documentation that describes the difference.
const DIFFERENCES: [(&str, &str, &str); 7] = [
    ("str", "{}", "It holds JSON, as `to_json` writes it"),
    ("str", r#"{"a": 1}"#, "It holds JSON, as `to_json` writes it"),
    ("datetime64", r#""20240229""#, "The year is between -262143 and 262142"),
    ("datetime64[ns]", "*", "A `datetime64` beyond 64 bits wraps"),
    ("datetime64[ps]", "*", "A `datetime64` beyond 64 bits wraps"),
    ("datetime64[fs]", "*", "A `datetime64` beyond 64 bits wraps"),
    ("datetime64[as]", "*", "A `datetime64` beyond 64 bits wraps"),
];

/// An element that can be shown as text, in the format of `numpy_dtypes.py`.
trait Shown: Element {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($type:ty)*) => {
        $(impl Shown for $type {
            fn shown(&self) -> String {
                self.to_string()
            }
        })*
    };
}

shown! { i8 i16 i32 i64 u8 u16 u32 u64 String }

impl Shown for bool {
    fn shown(&self) -> String {
        (if *self { "True" } else { "False" }).to_owned()
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        if self.is_nan() { "nan".to_owned() } else { format!("{:016x}", self.to_bits()) }
    }
}

impl Shown for f32 {
    fn shown(&self) -> String {
        f64::from(*self).shown()
    }
}

impl Shown for f16 {
    fn shown(&self) -> String {
        self.to_f64().shown()
    }
}

impl Shown for Complex<f64> {
    fn shown(&self) -> String {
        format!("{} {}", self.re.shown(), self.im.shown())
    }
}

impl Shown for Complex<f32> {
    fn shown(&self) -> String {
        format!("{} {}", self.re.shown(), self.im.shown())
    }
}

impl<U: time_unit::TimeUnit> Shown for Datetime64<U> {
    fn shown(&self) -> String {
        self.value().map_or("NaT".to_owned(), |value| value.to_string())
    }
}

impl<U: time_unit::TimeUnit> Shown for Timedelta64<U> {
    fn shown(&self) -> String {
        self.value().map_or("NaT".to_owned(), |value| value.to_string())
    }
}

/// Returns the element of the only prediction as text. Returns `None` if the prediction cannot be read with the type
/// `T`.
fn element<T: Shown>(response: &PredictionsResponse) -> Option<String> {
    Some(response.get_predictions::<ArrayD<T>>().ok()?[[0].as_slice()].shown())
}

fn in_dtype(dtype: &str, response: &PredictionsResponse) -> Option<String> {
    macro_rules! find {
        ($($type:ty),* $(,)?) => {
            match dtype {
                $(_ if dtype == <$type>::DTYPE => element::<$type>(response),)*
                other => panic!("no type for `{other}`"),
            }
        };
    }
    use time_unit::{
        Attosecond, Day, Femtosecond, Hour, Microsecond, Millisecond, Minute, Month, Nanosecond, Picosecond, Second,
        Week, Year,
    };
    find!(
        bool,
        i8,
        i16,
        i32,
        i64,
        u8,
        u16,
        u32,
        u64,
        f16,
        f32,
        f64,
        Complex<f32>,
        Complex<f64>,
        String,
        Datetime64<Year>,
        Datetime64<Month>,
        Datetime64<Week>,
        Datetime64<Day>,
        Datetime64<Hour>,
        Datetime64<Minute>,
        Datetime64<Second>,
        Datetime64<Millisecond>,
        Datetime64<Microsecond>,
        Datetime64<Nanosecond>,
        Datetime64<Picosecond>,
        Datetime64<Femtosecond>,
        Datetime64<Attosecond>,
        Timedelta64<Day>,
        Timedelta64<Second>,
        Timedelta64<Nanosecond>,
    )
}

#[test]
fn elements_of_each_dtype_equal_those_of_numpy() {
    let documentation =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/src/client/predictions/mod.rs"));
    let documentation = documentation.unwrap();
    let file = peers::source("numpy_dtypes.json");
    let theirs = peers::run_script("numpy_dtypes.py", &[file.to_str().unwrap()]);
    let theirs = PredictionsResponse::from_json([b"{\"predictions\": ".as_slice(), &theirs, b"}"].concat()).unwrap();
    let cases = fs::read_to_string(&file).unwrap();
    let cases = PredictionsResponse::from_json(format!("{{\"predictions\": {cases}}}")).unwrap();
    let values = list(&member(&cases.contents()["predictions"], "values"));
    let (mut failures, mut compared, mut different) = (Vec::new(), 0, 0);
    for (dtype, elements) in dict(&theirs.contents()["predictions"]) {
        for (value, theirs) in values.iter().zip(list(&elements)) {
            let value = value.to_string();
            let response = PredictionsResponse::from_json(format!("{{\"predictions\": [{value}]}}")).unwrap();
            let ours = in_dtype(&dtype, &response);
            let theirs = match theirs {
                predictions::Value::String(theirs) => Some(theirs),
                _ => None,
            };
            compared += 1;
            if ours == theirs {
                continue;
            }
            let known = DIFFERENCES.iter().find(|(start, case, _)| {
                // `*` is any value that numpy wraps and that is an error here.
                dtype.starts_with(start) && (value == *case || (*case == "*" && ours.is_none() && theirs.is_some()))
            });
            match known {
                Some((_, _, row)) if documentation.contains(row) => different += 1,
                _ => failures.push(format!("{dtype} of {value}: numpy {theirs:?}, here {ours:?}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} of {compared}:\n{}", failures.len(), failures.join("\n"));
    println!("elements compared with those of numpy: {compared}, deliberate differences: {different}");
}

fn member(value: &predictions::Value, name: &str) -> predictions::Value {
    dict(value).into_iter().find(|(key, _)| key == name).unwrap().1
}

fn dict(value: &predictions::Value) -> Vec<(String, predictions::Value)> {
    match value {
        predictions::Value::Object(members) => members.clone().into_iter().collect(),
        other => panic!("expected a dict, found {other}"),
    }
}

fn list(value: &predictions::Value) -> Vec<predictions::Value> {
    match value {
        predictions::Value::Array(items) => items.clone(),
        other => panic!("expected a list, found {other}"),
    }
}
