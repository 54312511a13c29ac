//! /proc/PID/stat: the fields that PR_SET_MM_MAP wants back.

use crate::image::manifest::MemoryMapFields;

/// The memory map fields (26 and on), without brk and auxv, which stat does not have.
pub fn parse(text: &[u8]) -> Result<MemoryMapFields, String> {
    // The name in parentheses may hold spaces and parentheses of its own: field 3 follows the last one.
    let end = text.iter().rposition(|&byte| byte == b')').ok_or("no command name")?;
    let rest = std::str::from_utf8(&text[end + 1..]).map_err(|_| "no text")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| -> Result<u64, String> {
        let text = fields.get(number - 3).ok_or_else(|| format!("field {number} is missing"))?;
        text.parse().map_err(|_| format!("field {number} is no number: {text}"))
    };
    Ok(MemoryMapFields {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        brk: 0,
        auxv: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = "19365 (sl) eep) S 19363 19363 6719 0 -1 4194304 129 0 0 0 0 0 0 0 20 0 1 0 177557 2990080 411 \
18446744073709551615 94805953400832 94805953418761 140720635586832 0 0 0 0 6 0 1 0 0 17 1 0 0 0 0 0 94805953432848 \
94805953434112 94806653693952 140720635591365 140720635591375 140720635591375 140720635592681 0\n";

    #[test]
    fn recorded_fields() {
        let map = parse(RECORDED.as_bytes()).unwrap();
        assert_eq!((map.start_code, map.end_code, map.start_stack), (94805953400832, 94805953418761, 140720635586832));
        assert_eq!((map.start_data, map.end_data, map.start_brk), (94805953432848, 94805953434112, 94806653693952));
        assert_eq!((map.arg_start, map.arg_end), (140720635591365, 140720635591375));
        assert_eq!((map.env_start, map.env_end), (140720635591375, 140720635592681));
    }

    #[test]
    fn a_short_line_names_the_field() {
        assert_eq!(parse(b"1 (a) S 2 3").unwrap_err(), "field 26 is missing");
        assert_eq!(parse(b"1 a").unwrap_err(), "no command name");
    }

    #[test]
    fn a_field_that_is_no_number_is_named() {
        let text = RECORDED.replace("94805953400832", "x");
        assert_eq!(parse(text.as_bytes()).unwrap_err(), "field 26 is no number: x");
    }
}
