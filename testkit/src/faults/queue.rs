//! A queue as SQS has it, as far as it matters to who receives: what is not acknowledged comes again, and after five times
//! lies in the dead-letter queue (the redrive policy of template.yaml).

use std::collections::VecDeque;

/// `maxReceiveCount` of template.yaml.
pub const MOST_RECEIPTS: usize = 5;

/// A message, and how often it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub body: String,
    receipts: usize,
}

/// The queue and its dead letters.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Letter>,
    dead: Vec<Letter>,
}

impl Queue {
    /// Puts a message at the end.
    pub fn put(&mut self, body: String) {
        self.waiting.push_back(Letter { body, receipts: 0 });
    }

    /// Receives a batch; what of it is not given [`back`](Self::give_back) is acknowledged.
    pub fn take(&mut self, most: usize) -> Vec<Letter> {
        let mut taken: Vec<Letter> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        taken.iter_mut().for_each(|letter| letter.receipts += 1);
        taken
    }

    /// It was not acknowledged.
    pub fn give_back(&mut self, letter: Letter) {
        if letter.receipts >= MOST_RECEIPTS {
            self.dead.push(letter);
        } else {
            self.waiting.push_back(letter);
        }
    }

    /// They were received as often as the queue allows.
    pub fn bury(&mut self, letters: Vec<Letter>) {
        self.dead.extend(letters);
    }

    /// Moves the dead letters back, `times` times each.
    pub fn redrive(&mut self, times: usize) -> usize {
        let dead = std::mem::take(&mut self.dead);
        for letter in &dead {
            (0..times).for_each(|_| self.put(letter.body.clone()));
        }
        dead.len()
    }

    /// What nobody could handle.
    #[must_use]
    pub fn dead(&self) -> &[Letter] {
        &self.dead
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All that waits, to be put in disorder.
    pub fn waiting(&mut self) -> &mut [Letter] {
        self.waiting.make_contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_acknowledged_is_dead_after_five_times() {
        let mut queue = Queue::default();
        queue.put("one".to_owned());
        for time in 1..=MOST_RECEIPTS {
            assert!(queue.dead().is_empty(), "received {time} times");
            let letter = queue.take(10).remove(0);
            queue.give_back(letter);
        }
        assert!(queue.is_empty() && queue.dead().len() == 1);
        assert_eq!(queue.redrive(2), 1);
        assert_eq!(queue.take(10).len(), 2);
        assert!(queue.is_empty() && queue.dead().is_empty());
    }
}
