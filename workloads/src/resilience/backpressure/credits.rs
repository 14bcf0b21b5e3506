//! A sender and a receiver that go by credit, for the model world: a producer pushes, somebody takes, and the link between
//! loses messages, carries them twice and in any order. All must arrive once and in order, no more be kept than there is
//! room for, and from every state it must go on once the link is well.

use crate::world::callers::Scene;
use shakedown_impls::protocol::Time;
use shakedown_impls::resilience::backpressure::credit::{Config, Grant, Receiver, Sender, ToReceiver};
use std::fmt::{self, Display};

/// Two ends of a link.
#[derive(Clone, Debug)]
pub struct Credits {
    /// Of both.
    pub config: Config,
    /// How many items are pushed.
    pub items: u8,
    /// How often the sender loses patience.
    pub patience: u8,
}

/// All of it at one time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Now {
    sender: Sender<u8>,
    receiver: Receiver<u8>,
    /// What is on its way, in a fixed order; what comes twice stays there.
    there: Vec<ToReceiver<u8>>,
    back: Vec<Grant>,
    pushed: u8,
    taken: u8,
    now: Time,
    patience: u8,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A producer pushes the next item.
    Push,
    /// The next item is taken.
    Take,
    /// The sender has waited long enough.
    Again,
    /// A message arrives, and may arrive once more.
    There(ToReceiver<u8>, Fate),
    /// An answer does.
    Back(Grant, Fate),
}

/// What a link does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// It arrives, and will again.
    Doubles,
    /// It is lost.
    Lost,
}

const FATES: [Fate; 3] = [Fate::Arrives, Fate::Doubles, Fate::Lost];

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Step::Push => return f.write_str("an item is pushed"),
            Step::Take => return f.write_str("an item is taken"),
            Step::Again => return f.write_str("the sender has waited long enough"),
            Step::There(ToReceiver::Item(number, _), _) => format!("item {number}"),
            Step::There(ToReceiver::Ask, _) => "the question for credit".to_owned(),
            Step::Back(Grant { received, limit }, _) => {
                format!("the answer: received {received}, limit {limit}")
            }
        };
        let (Step::There(_, fate) | Step::Back(_, fate)) = self else { unreachable!("others have returned") };
        match fate {
            Fate::Arrives => write!(f, "{message} arrives"),
            Fate::Doubles => write!(f, "{message} arrives, and will come again"),
            Fate::Lost => write!(f, "{message} is lost"),
        }
    }
}

impl Scene for Credits {
    type State = Now;
    type Step = Step;

    fn sometimes(&self) -> Vec<&'static str> {
        vec![
            "a producer is blocked for want of credit",
            "an item comes twice",
            "an item comes before the one before it",
            "the sender asks for credit",
            "an item is sent again",
            "all items have arrived",
        ]
    }

    fn start(&self) -> Now {
        Now {
            sender: Sender::new(&self.config, Time(0)),
            receiver: Receiver::new(&self.config),
            there: vec![],
            back: vec![],
            pushed: 0,
            taken: 0,
            now: Time(0),
            patience: self.patience,
        }
    }

    fn steps(&self, now: &Now, steps: &mut Vec<Step>) {
        if now.pushed < self.items && now.sender.is_ready() {
            steps.push(Step::Push);
        }
        if now.receiver.is_ready() {
            steps.push(Step::Take);
        }
        if now.patience > 0 {
            steps.push(Step::Again);
        }
        for fate in FATES {
            steps.extend(now.there.iter().map(|message| Step::There(message.clone(), fate)));
            steps.extend(now.back.iter().map(|&grant| Step::Back(grant, fate)));
        }
    }

    fn take(&self, now: &mut Now, step: &Step, seen: &mut Vec<&'static str>) -> Result<(), String> {
        match step {
            Step::Push => self.push(now),
            Step::Take => self.take_next(now)?,
            Step::Again => {
                now.patience -= 1;
                self.again(now, seen);
            }
            Step::There(message, fate) => {
                if *fate != Fate::Doubles {
                    now.there.retain(|other| other != message);
                }
                if *fate != Fate::Lost {
                    self.arrives(now, message, seen)?;
                }
            }
            Step::Back(grant, fate) => {
                if *fate != Fate::Doubles {
                    now.back.retain(|other| other != grant);
                }
                if *fate != Fate::Lost {
                    now.sender.on_grant(&self.config, now.now, *grant);
                    self.send(now);
                }
            }
        }
        if now.pushed < self.items && !now.sender.is_ready() {
            seen.push("a producer is blocked for want of credit");
        }
        if now.taken == self.items {
            seen.push("all items have arrived");
        }
        self.goes_on(now.clone())
    }
}

impl Credits {
    fn push(&self, now: &mut Now) {
        now.sender.push(now.pushed).expect("it has credit");
        now.pushed += 1;
        self.send(now);
    }

    fn send(&self, now: &mut Now) -> usize {
        let messages = now.sender.to_send(&self.config, now.now);
        let count = messages.len();
        now.there.extend(messages);
        now.there.sort_unstable();
        now.there.dedup();
        count
    }

    fn again(&self, now: &mut Now, seen: &mut Vec<&'static str>) {
        now.now = now.now.max(now.sender.again_at());
        let unanswered = now.sender.unanswered() > 0;
        if self.send(now) > 0 {
            seen.push(if unanswered { "an item is sent again" } else { "the sender asks for credit" });
        }
    }

    fn arrives(
        &self,
        now: &mut Now,
        message: &ToReceiver<u8>,
        seen: &mut Vec<&'static str>,
    ) -> Result<(), String> {
        let (kept, ready) = (now.receiver.kept(), now.receiver.is_ready());
        let grant = now
            .receiver
            .on_message(&self.config, message.clone())
            .map_err(|_| "an item comes for which there is no room".to_owned())?;
        if let ToReceiver::Item(..) = message {
            let grew = now.receiver.kept() > kept;
            seen.extend((!grew).then_some("an item comes twice"));
            let is_early = grew && !ready && !now.receiver.is_ready();
            seen.extend(is_early.then_some("an item comes before the one before it"));
        }
        if now.receiver.kept() > self.config.window {
            return Err(format!(
                "{} items are kept, and there is room for {}",
                now.receiver.kept(),
                self.config.window
            ));
        }
        now.back.push(grant);
        now.back.sort_unstable();
        now.back.dedup();
        Ok(())
    }

    fn take_next(&self, now: &mut Now) -> Result<(), String> {
        let (item, grant) = now.receiver.take(&self.config).expect("one is there");
        if item != now.taken {
            return Err(format!("item {item} is taken where item {} is next", now.taken));
        }
        now.taken += 1;
        now.back.push(grant);
        now.back.sort_unstable();
        now.back.dedup();
        Ok(())
    }

    /// From here on the link is well, all that is taken is taken at once, and the sender waits as long as it likes.
    fn goes_on(&self, mut now: Now) -> Result<(), String> {
        let mut seen = vec![];
        // In each round the sender sends or asks, and hears of it; at least one item more arrives.
        for _ in 0..=2 * self.items {
            if now.pushed < self.items && now.sender.is_ready() {
                self.push(&mut now);
            }
            for message in std::mem::take(&mut now.there) {
                self.arrives(&mut now, &message, &mut seen)?;
            }
            while now.receiver.is_ready() {
                self.take_next(&mut now)?;
            }
            for grant in std::mem::take(&mut now.back) {
                now.sender.on_grant(&self.config, now.now, grant);
            }
            self.again(&mut now, &mut seen);
        }
        match now.taken == self.items {
            true => Ok(()),
            false => Err(format!("it stands still after {} items, though the link is well", now.taken)),
        }
    }
}
