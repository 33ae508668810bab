//! Reads the code and the message in the XML of an error response, which object stores send.

/// The code and the message of an error. The message begins with the code.
#[derive(Debug, PartialEq)]
pub(crate) struct XmlError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Reads an error in the form `<Error><Code>…</Code><Message>…</Message></Error>`, which may have other elements too.
/// Returns `None` if the body has another form.
pub(crate) fn read(body: &str) -> Option<XmlError> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    if !body.starts_with("<?xml") && !body.starts_with("<Error") {
        return None;
    }
    let error = &body[body.find("<Error")?..];
    let code = element(error, "Code")?;
    // Google's servers explain a refusal in `Details`.
    let message = [element(error, "Message"), element(error, "Details")].into_iter().flatten();
    let message = message.fold(code.clone(), |all, text| format!("{all}: {text}"));
    Some(XmlError { code, message })
}

/// Returns the text of the first element with this name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let text = entities.iter().fold(text.trim().to_owned(), |text, (entity, sign)| text.replace(entity, sign));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_object_stores_are_read() {
        let s3 = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code><Message>The specified bucket \
                  does not exist</Message><BucketName>b</BucketName></Error>";
        let gcs = "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>a &lt;b&gt; \
                   &amp;amp;</Details></Error>";
        for (body, code, message) in [
            (s3, "NoSuchBucket", "NoSuchBucket: The specified bucket does not exist"),
            (gcs, "AccessDenied", "AccessDenied: Access denied.: a <b> &amp;"),
            ("\u{feff}<?xml ?><Error><Code>ServerBusy</Code></Error>", "ServerBusy", "ServerBusy"),
        ] {
            let read = read(body).unwrap();
            assert_eq!((read.code.as_str(), read.message.as_str()), (code, message));
        }
        for other in ["", "<Error>", "<html><Error><Code>a</Code>", "<Error><Code></Code></Error>", "<?xml ?><a/>"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
