//! Reads the fields of a protobuf message without a schema. Never copies or allocates.

/// Reads the fields of a protobuf message, in the order of the bytes.
pub(super) struct FieldReader<'a>(&'a [u8]);

/// A field of a protobuf message.
pub(super) struct WireField<'a> {
    pub(super) number: u32,
    /// The bytes of the field if it contains a message, a string or packed numbers; `None` if it contains a single
    /// number.
    pub(super) bytes: Option<&'a [u8]>,
}

/// The reason why bytes are not a valid protobuf message.
pub(super) type Damage = &'static str;

impl<'a> FieldReader<'a> {
    /// Creates a reader for the fields of a protobuf message.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Returns the next field, or `None` at the end of the message.
    ///
    /// # Errors
    /// Fails if the bytes are not a protobuf message, or if the message contains a group. ONNX uses no groups, and
    /// protobuf libraries treat them differently.
    pub(super) fn next(&mut self) -> Result<Option<WireField<'a>>, Damage> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_large| "the number of a field is too large")?;
        let number = key >> 3;
        if number == 0 {
            return Err("the number of a field is 0");
        }
        let bytes = match key & 7 {
            0 => self.varint().map(|_number| None)?,
            1 => self.take(8).map(|_number| None)?,
            2 => {
                let length = self.varint()?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_number| None)?,
            3 | 4 => return Err("it has a group, which ONNX does not use"),
            _ => return Err("a field has an unknown wire type"),
        };
        Ok(Some(WireField { number, bytes }))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Damage> {
        let taken = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
        let (taken, rest) = taken.ok_or("a field extends past the end of its message")?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Damage> {
        const MAX_LEN: usize = 10;
        let end = self.0.iter().take(MAX_LEN).position(|byte| byte & 0x80 == 0);
        let end = end.ok_or("a number is too long or truncated")?;
        let (digits, rest) = self.0.split_at(end + 1);
        // The tenth digit has room for only one of the 64 bits.
        if end + 1 == MAX_LEN && digits[end] > 1 {
            return Err("a number has more than 64 bits");
        }
        self.0 = rest;
        Ok(digits.iter().rev().fold(0, |number, digit| number << 7 | u64::from(digit & 0x7f)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_a_message_are_rejected() {
        for (bytes, reason) in [
            (&[0x02_u8, 0][..], "is 0"),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], "too large"),
            (&[0x0b, 0x0c], "a group"),
            (&[0x0e], "an unknown wire type"),
            (&[0x0a, 2, 0], "past the end"),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "past the end"),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "more than 64 bits"),
            (&[0x08, 0x80], "truncated"),
            (&[0x0d, 0, 0, 0], "past the end"),
        ] {
            assert!(FieldReader::of(bytes).next().err().unwrap().contains(reason), "{bytes:?}");
        }
    }

    #[test]
    fn fields_are_read_in_order() {
        let bytes = [0x88, 0x80, 0x00, 0x96, 0x01, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0x82, 0x00, b'a', b'b'];
        let mut fields = FieldReader::of(&bytes);
        let mut next = || fields.next().unwrap().map(|field| (field.number, field.bytes));
        assert_eq!(
            [next(), next(), next(), next()],
            [Some((1, None)), Some((2, None)), Some((3, Some(&b"ab"[..]))), None]
        );
    }
}
