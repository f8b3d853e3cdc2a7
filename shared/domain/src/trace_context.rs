//! A place in a trace, as publishers write it: the content of `traceparent` (W3C Trace Context).

use std::fmt;

/// A place in a trace: the content of `traceparent`, version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

/// The bit of the flags that says that the trace is to be collected.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Builds a context from the numbers of a span that exists.
    pub const fn new(trace: u128, span: u64, flags: u8) -> Self {
        Self { trace, span, flags }
    }

    /// Reads a `traceparent`; none when it is malformed, which the specification says to ignore.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] = std::array::from_fn(|_| parts.next().unwrap_or(""));
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let lengths = [version, trace, span, flags].map(str::len);
        let is_whole = lengths == [2, 32, 16, 2] && parts.next().is_none();
        if !is_whole || version == "ff" || ![version, trace, span, flags].into_iter().all(is_hex) {
            return None;
        }
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        // Zeros are invalid ids by the specification.
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// Whether whoever began the trace wants it collected.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns the trace's id as 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Returns the trace's id as a number.
    pub fn trace(self) -> u128 {
        self.trace
    }

    /// Returns the span's id as a number.
    pub fn span(self) -> u64 {
        self.span
    }

    /// Returns the flags as they were given.
    pub fn flags(self) -> u8 {
        self.flags
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags & SAMPLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_specification_says() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.to_string(), GOOD);
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e47é6-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }
}
