//! Random numbers that are the same on every machine and in every version of this crate.
//!
//! SplitMix64 (Steele, Lea and Flood, 2014) in full, rather than a crate whose algorithm may
//! change under us: the demo population is a test fixture too. Not for secrets.

/// What a stream of numbers is used for. Each patient has a stream for each topic, so that a change
/// to how one is made does not move all the others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Topic {
    Person,
    Plan,
    Problems,
    Physiology,
    Sampling,
    Faults,
    Notes,
}

/// A deterministic source of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of one patient and topic.
    pub(crate) fn stream(seed: u64, patient: usize, topic: Topic) -> Rng {
        let stream = (patient as u64) << 8 | topic as u64;
        Rng { state: mix(seed.wrapping_add(mix(stream.wrapping_add(0x5a1u64)))) }
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform among the whole numbers from `low` to `high`, both included.
    pub(crate) fn whole(&mut self, low: i64, high: i64) -> i64 {
        let span = (high - low).max(0) as u64 + 1;
        low + (self.bits() % span) as i64
    }

    /// Standard normal, as the sum of twelve uniforms (Irwin-Hall): exact arithmetic on every
    /// platform, and never beyond six deviations.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.whole(0, items.len() as i64 - 1) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_reference_values() {
        // The first outputs of the published algorithm for the state 1234567.
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.bits(), 6_457_827_717_110_365_317);
        assert_eq!(rng.bits(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let mut rng = Rng::stream(1, 1, Topic::Person);
        let xs: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let mean = xs.iter().sum::<f64>() / 20_000.0;
        let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }
}
