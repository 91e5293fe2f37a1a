//! Text of an expression to tokens.

use super::fault::{Fault, Span};

/// Kind of a token; names and texts are read from the span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind {
    Number(f64),
    Name,
    Text,
    LeftParen,
    RightParen,
    Comma,
    Plus,
    Minus,
    Star,
    Slash,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    /// `=`, of a named argument.
    Assign,
    And,
    Or,
    Not,
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// All tokens of `text`, closed by [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (kind, end) = match byte {
            b'0'..=b'9' | b'.' => number(text, at)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => name(text, at),
            b'"' | b'\'' => quoted(text, at)?,
            _ => symbol(text, at)?,
        };
        out.push(Token { kind, span: Span { start: at, end } });
        at = end;
    }
    out.push(Token { kind: TokenKind::End, span: Span { start: text.len(), end: text.len() } });
    Ok(out)
}

fn scan(bytes: &[u8], from: usize, accept: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|&&b| accept(b)).count()
}

fn number(text: &str, start: usize) -> Result<(TokenKind, usize), Fault> {
    let bytes = text.as_bytes();
    let mut end = scan(bytes, start, |b| b.is_ascii_digit() || b == b'.');
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = scan(bytes, end + 1 + sign, |b| b.is_ascii_digit());
        }
    }
    let word_end = scan(bytes, end, |b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    let written = &text[start..word_end];
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() && word_end == end => Ok((TokenKind::Number(value), end)),
        _ => Err(Fault::new(
            Span { start, end: word_end },
            format!("`{written}`"),
            "a number such as 20, 0.5 or 1e-4, or a name that begins with a letter",
        )),
    }
}

fn name(text: &str, start: usize) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let mut end = scan(bytes, start, |b| b.is_ascii_alphanumeric() || b == b'_');
    // Dotted config keys are names too: `risk.es_alpha < 0.05` in a sweep's constraint.
    while bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic) {
        end = scan(bytes, end + 1, |b| b.is_ascii_alphanumeric() || b == b'_');
    }
    let kind = match &text[start..end] {
        "and" => TokenKind::And,
        "or" => TokenKind::Or,
        "not" => TokenKind::Not,
        _ => TokenKind::Name,
    };
    (kind, end)
}

fn quoted(text: &str, start: usize) -> Result<(TokenKind, usize), Fault> {
    let quote = text.as_bytes()[start];
    let end = scan(text.as_bytes(), start + 1, |b| b != quote);
    if end == text.len() {
        let span = Span { start, end };
        return Err(Fault::new(span, "a text that does not end", "a closing quote"));
    }
    Ok((TokenKind::Text, end + 1))
}

fn symbol(text: &str, start: usize) -> Result<(TokenKind, usize), Fault> {
    let rest = &text[start..];
    let two = [
        ("<=", TokenKind::LessEqual),
        (">=", TokenKind::GreaterEqual),
        ("==", TokenKind::Equal),
        ("!=", TokenKind::NotEqual),
    ];
    let one = [
        ("<", TokenKind::Less),
        (">", TokenKind::Greater),
        ("+", TokenKind::Plus),
        ("-", TokenKind::Minus),
        ("*", TokenKind::Star),
        ("/", TokenKind::Slash),
        ("(", TokenKind::LeftParen),
        (")", TokenKind::RightParen),
        (",", TokenKind::Comma),
        ("=", TokenKind::Assign),
    ];
    for (written, kind) in two.into_iter().chain(one) {
        if rest.starts_with(written) {
            return Ok((kind, start + written.len()));
        }
    }
    let instead = [
        ("&&", "write `and`"),
        ("&", "write `and`"),
        ("||", "write `or`"),
        ("|", "write `or`"),
        ("!", "write `not`"),
        ("~", "write `not`"),
    ];
    let length = rest.chars().next().map_or(1, char::len_utf8);
    let fault = Fault::new(
        Span { start, end: start + length },
        format!("`{}`", &rest[..length]),
        "a number, a name or an operator",
    );
    Err(match instead.into_iter().find(|(written, _)| rest.starts_with(written)) {
        Some((_, fix)) => fault.fix(fix),
        None => fault,
    })
}
