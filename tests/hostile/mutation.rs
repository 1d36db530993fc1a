//! Changes to samples, in an order that a fixed seed gives.

/// What faults hide in: ends of ranges, halves of escapes, delimiters, depth.
const TOKENS: [&[u8]; 40] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"\"\"",
    b"{}",
    b"[]",
    b"-",
    b"0",
    b"-0.0",
    b"1e999999999",
    b"1E-2147483649",
    b"99999999999999999999999",
    b"9999-12-31T23:59:60.999999999+14:00",
    b"0000",
    b"2020-02-30",
    b"\\u0000",
    b"\\ud83e",
    b"\xff",
    b"\xc3",
    "\u{1f50d}".as_bytes(),
    "\u{212a}".as_bytes(),
    b"<",
    b"/>",
    b"<!--",
    b"<![CDATA[",
    b"&#0;",
    b"&lt",
    b"%",
    b"%00",
    b"$",
    b"|",
    b"../",
    b"[{\"extension\":[{\"extension\":[",
];

/// Endless changed samples.
pub struct Mutation<'a> {
    samples: &'a [&'a str],
    state: u64,
}

impl<'a> Mutation<'a> {
    pub fn new(samples: &'a [&'a str]) -> Self {
        Self { samples, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A sample with one to six changes.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.sample().to_vec();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let some = at..input.len().min(at + 1 + self.below(24));
        match self.below(7) {
            0 => drop(input.drain(some)),
            1 => input.truncate(at),
            2 => {
                let again = input[some].to_vec();
                input.splice(at..at, again);
            }
            3 => {
                let other = self.sample();
                let from = self.below(other.len());
                let part = &other[from..other.len().min(from + 1 + self.below(80))];
                input.splice(some, part.iter().copied());
            }
            4 => {
                let bit = 1 << self.below(8);
                input.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
            }
            // Most of what is not plain noise: a token in the place of something, or beside it.
            kind => {
                let token = TOKENS[self.below(TOKENS.len())];
                let replaced = if kind == 5 { some } else { at..at };
                input.splice(replaced, token.iter().copied());
            }
        }
    }

    fn sample(&mut self) -> &'a [u8] {
        self.samples[self.below(self.samples.len())].as_bytes()
    }

    /// A number below `end` (0 where that is 0), by xorshift64*.
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        number as usize % end.max(1)
    }
}
