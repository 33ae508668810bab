//! Frames of AWS's event streams.

/// Returns a frame with text headers.
///
/// # Panics
/// Panics if a header or the payload is too long for a frame.
pub fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("the lengths of a frame are small"));
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).expect("the lengths of a frame are small").to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let length = 12 + head.len() + payload.len() + 4;
    let mut frame = u32::try_from(length).expect("the lengths of a frame are small").to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(head.len()).expect("the lengths of a frame are small").to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// Returns the frame of a part of an answer.
pub fn part(payload: &str) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", "PayloadPart")], payload.as_bytes())
}
