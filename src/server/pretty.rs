//! JSON laid out for people (`_pretty`, R4 http.html#parameters).

/// Lays out valid JSON text, two spaces a level; what stands inside strings and numbers stays as it is.
pub fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped, mut opened) = (0_usize, false, false, false);
    for c in text.chars() {
        if in_string {
            out.push(c);
            (in_string, escaped) = (escaped || c != '"', c == '\\' && !escaped);
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        // An array or object that is empty stays on its line.
        let closes = matches!(c, '}' | ']');
        if std::mem::take(&mut opened) && !closes {
            depth += 1;
            new_line(&mut out, depth);
        } else if closes && !out.ends_with(['{', '[']) {
            depth = depth.saturating_sub(1);
            new_line(&mut out, depth);
        }
        out.push(c);
        match c {
            '"' => in_string = true,
            '{' | '[' => opened = true,
            ',' => new_line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn the_layout_changes_and_nothing_else() {
        let text = r#"{"a":[],"b":{},"c":[1.00,{"d":"x{,:}\\\"]\\"}],"e":null}"#;
        let laid_out = concat!(
            "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1.00,\n    {\n      ",
            r#""d": "x{,:}\\\"]\\""#,
            "\n    }\n  ],\n  \"e\": null\n}"
        );
        assert_eq!(indented(text), laid_out);
        assert_eq!(indented(laid_out), laid_out);
    }
}
