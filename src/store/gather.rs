//! The requests of a group: all that wait when it can start.
//!
//! Where groups have several, others are about to ask, and have their turn of the scheduler first. Who is alone does not
//! wait for them: at one connection the turn, which wakes another thread, costs as much as a statement.

use tokio::sync::mpsc;

/// So many groups of one after each other mean that nobody else is about to ask.
const LONELY: u32 = 8;

/// Takes requests off a queue in groups.
pub(crate) struct Gatherer<T> {
    requests: mpsc::Receiver<T>,
    /// How many groups of one there were since the last of several.
    lone: u32,
}

impl<T> Gatherer<T> {
    pub fn new(requests: mpsc::Receiver<T>) -> Self {
        Self { requests, lone: LONELY }
    }

    /// The next request, when there is one; `None` when nobody can ask any more. Nothing is lost when it is dropped.
    pub async fn first(&mut self) -> Option<T> {
        self.requests.recv().await
    }

    /// Adds those that wait, and those that are about to, up to `most` in all, to a group that starts now.
    pub async fn fill(&mut self, group: &mut Vec<T>, most: usize) {
        if self.lone < LONELY {
            tokio::task::yield_now().await;
        }
        self.take(group, most);
        self.lone = if group.len() > 1 { 0 } else { self.lone.saturating_add(1) };
    }

    /// Adds those that wait, up to `most` in all, to a group that does not start yet.
    pub fn take(&mut self, group: &mut Vec<T>, most: usize) {
        while group.len() < most
            && let Ok(more) = self.requests.try_recv()
        {
            group.push(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_is_all_that_wait_up_to_its_size() {
        let (sender, receiver) = mpsc::channel(10);
        let mut gatherer = Gatherer::new(receiver);
        for request in 0..7 {
            sender.try_send(request).unwrap();
        }
        let mut group = vec![gatherer.first().await.unwrap()];
        gatherer.fill(&mut group, 5).await;
        assert_eq!(group, [0, 1, 2, 3, 4]);
        let mut group = vec![gatherer.first().await.unwrap()];
        gatherer.fill(&mut group, 5).await;
        assert_eq!(group, [5, 6]);
        drop(sender);
        assert_eq!(gatherer.first().await, None);
    }

    /// Those about to ask are in the group once there is company, and one who is alone goes at once.
    #[tokio::test]
    async fn those_about_to_ask_are_waited_for_only_in_company() {
        let (sender, receiver) = mpsc::channel(10);
        let mut gatherer = Gatherer::new(receiver);
        let ask = |request| {
            let sender = sender.clone();
            tokio::spawn(async move { sender.try_send(request).unwrap() })
        };
        let (mut alone, asked) = (vec![0], ask(1));
        gatherer.fill(&mut alone, 5).await;
        assert_eq!(alone, [0]);
        asked.await.unwrap();
        let mut two = vec![0];
        gatherer.fill(&mut two, 5).await;
        let (mut company, asked) = (vec![2], ask(3));
        gatherer.fill(&mut company, 5).await;
        assert_eq!((two, company), (vec![0, 1], vec![2, 3]));
        asked.await.unwrap();
    }
}
