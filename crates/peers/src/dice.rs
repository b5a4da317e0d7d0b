//! Random numbers from a seed: the same seed gives the same run, and who sees some of the numbers
//! cannot tell the others (BLAKE3 keyed with the seed over a counter).

/// Gives random numbers.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: [u8; 32],
    rolls: u64,
}

impl Dice {
    /// Numbers that follow from `seed`; a node takes it from the operating system.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, rolls: 0 }
    }

    /// Sixteen random bytes.
    pub fn bytes(&mut self) -> [u8; 16] {
        let hash = blake3::keyed_hash(&self.seed, &self.rolls.to_be_bytes());
        self.rolls = self.rolls.wrapping_add(1);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        bytes
    }

    /// A number below `bound`; 0 if that is 0. The bias is at most `bound` in 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        let bytes = self.bytes();
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[..8]);
        let number = u64::from_be_bytes(eight) % (bound.max(1) as u64);
        usize::try_from(number).unwrap_or(0)
    }

    /// Moves `count` random elements to the front of `of`, in random order.
    pub fn pick<T>(&mut self, of: &mut [T], count: usize) {
        for place in 0..count.min(of.len()) {
            let other = place + self.below(of.len() - place);
            of.swap(place, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_run_and_another_seed_another() {
        let run = |seed| {
            let mut dice = Dice::new([seed; 32]);
            (0..20).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().all(|number| *number < 1000));
    }

    #[test]
    fn every_element_comes_to_the_front_about_as_often() {
        let mut dice = Dice::new([3; 32]);
        let mut counts = [0; 8];
        for _ in 0..4000 {
            let mut numbers = [0, 1, 2, 3, 4, 5, 6, 7];
            dice.pick(&mut numbers, 2);
            counts[numbers[0]] += 1;
            counts[numbers[1]] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }
}
