//! The words of a WGSL file.

/// A name, number or sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    pub text: &'a str,
    pub is_name: bool,
}

/// Those of a file, comments and imports left out.
pub fn words(source: &str) -> Vec<Word<'_>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code = source.lines().filter(|line| !line.starts_with('#')).map(|line| line.split("//").next().unwrap_or(""));
    let mut words = Vec::new();
    for mut rest in code.map(str::trim_start) {
        while let Some(first) = rest.chars().next() {
            let end = if is_part(first) { rest.find(|c| !is_part(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
            words.push(Word { text: &rest[..end], is_name: is_part(first) && !first.is_ascii_digit() });
            rest = rest[end..].trim_start();
        }
    }
    words
}

/// How many of them the first item of module scope has.
pub fn item_len(words: &[Word<'_>]) -> usize {
    let mut depth = 0;
    for (i, word) in words.iter().enumerate() {
        depth += i32::from(word.text == "{") - i32::from(word.text == "}");
        if depth == 0 && [";", "}"].contains(&word.text) {
            return i + 1;
        }
    }
    words.len()
}

#[test]
fn a_file_is_split_into_words_and_items() {
    let words = words("// a file\n#import b\noverride C: u32;  // c\nfn d(e: f32) -> f32 { let g = 1.5; return g; }\n");
    let texts: Vec<&str> = words.iter().map(|word| word.text).collect();
    assert_eq!(texts[..8], ["override", "C", ":", "u32", ";", "fn", "d", "("]);
    let names: Vec<&str> = words[15..].iter().filter(|word| word.is_name).map(|word| word.text).collect();
    assert_eq!(names, ["let", "g", "return", "g"]);
    assert_eq!(item_len(&words), 5);
    assert_eq!(item_len(&words[5..]), words.len() - 5);
}
