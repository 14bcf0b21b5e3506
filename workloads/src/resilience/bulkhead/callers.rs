//! Callers at a bulkhead, for the model world: they ask, wait, notice that it is their turn, or go away; their calls end in
//! every way; and time passes. A line of people and a number are kept beside it, and it must agree with them.

use crate::world::callers::{Scene, TICK_NS, time};
use shakedown_impls::protocol::Component as _;
use shakedown_impls::resilience::bulkhead::{Bulkhead, Config, End, Op, Ret, Ticket};
use std::fmt::{self, Display};

/// Callers at a bulkhead.
#[derive(Clone, Debug)]
pub struct Callers {
    /// The bulkhead's.
    pub config: Config,
    /// How many callers.
    pub callers: usize,
    /// How many calls each of them makes.
    pub calls: u8,
    /// How many ticks pass.
    pub ticks: u8,
}

/// All of it at one time.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Now {
    bulkhead: Bulkhead,
    ticks: u8,
    callers: Vec<Caller>,
    /// Who waits, and until when: first come first.
    line: Vec<(usize, u8)>,
    /// Whose turn it is, and who has not noticed yet.
    turns: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Caller {
    is: Is,
    /// How many calls it has left to make.
    left: u8,
}

#[derive(Clone, Debug, PartialEq, Hash)]
enum Is {
    Idle,
    Waiting(Ticket),
    UnderWay,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A caller asks.
    Ask(usize),
    /// One that waits looks whether it is its turn.
    Look(usize),
    /// One that waits goes away.
    Leave(usize),
    /// A caller's call ends.
    End(usize, End),
    /// Time passes.
    Tick,
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Ask(caller) => write!(f, "c{caller} asks for a call"),
            Step::Look(caller) => write!(f, "c{caller} looks whether it is its turn"),
            Step::Leave(caller) => write!(f, "c{caller} goes away"),
            Step::End(caller, End::Succeeded) => write!(f, "c{caller}'s call succeeds"),
            Step::End(caller, End::Failed) => write!(f, "c{caller}'s call fails"),
            Step::End(caller, End::TimedOut) => write!(f, "c{caller}'s call takes too long"),
            Step::End(caller, End::SaidNothing) => write!(f, "c{caller}'s call is given up"),
            Step::Tick => f.write_str("a millisecond passes"),
        }
    }
}

impl Scene for Callers {
    type State = Now;
    type Step = Step;

    fn sometimes(&self) -> Vec<&'static str> {
        let places = self.config.max_concurrent_calls + self.config.max_wait_queue_size;
        let may_be_refused = self.callers > places as usize;
        let always = [
            "a call waits",
            "a call has waited too long",
            "one is called who waited",
            "one goes away whose turn it was",
        ];
        always.into_iter().chain(may_be_refused.then_some("a call is refused")).collect()
    }

    fn start(&self) -> Now {
        let caller = Caller { is: Is::Idle, left: self.calls };
        Now {
            bulkhead: Bulkhead::new(&self.config),
            ticks: 0,
            callers: vec![caller; self.callers],
            line: vec![],
            turns: vec![],
        }
    }

    fn steps(&self, now: &Now, steps: &mut Vec<Step>) {
        for (number, caller) in now.callers.iter().enumerate() {
            match caller.is {
                Is::Idle if caller.left > 0 => steps.push(Step::Ask(number)),
                Is::Idle => {}
                Is::Waiting(_) => steps.extend([Step::Look(number), Step::Leave(number)]),
                Is::UnderWay => {
                    // Without adaptive limits there is no difference between one end and another but for a mistake.
                    steps.extend([End::Succeeded, End::TimedOut].map(|end| Step::End(number, end)));
                }
            }
        }
        if now.ticks < self.ticks {
            steps.push(Step::Tick);
        }
    }

    fn take(&self, now: &mut Now, step: &Step, seen: &mut Vec<&'static str>) -> Result<(), String> {
        match *step {
            Step::Tick => now.ticks += 1,
            Step::Ask(caller) => self.ask(now, caller, seen)?,
            Step::Look(caller) => self.look(now, caller, seen)?,
            Step::Leave(caller) => {
                let Is::Waiting(ticket) = now.callers[caller].is else { unreachable!("it waits") };
                self.apply(now, Op::Leave(ticket));
                seen.extend(now.turns.contains(&caller).then_some("one goes away whose turn it was"));
                now.turns.retain(|&other| other != caller);
                now.line.retain(|&(other, _)| other != caller);
                now.callers[caller].is = Is::Idle;
                self.move_up(now, seen);
            }
            Step::End(caller, end) => {
                // What takes too long takes a tick longer than is good.
                let took_ns = if end == End::Succeeded { 1 } else { 2 * TICK_NS };
                self.apply(now, Op::Release { end, took_ns });
                now.callers[caller].is = Is::Idle;
                self.move_up(now, seen);
            }
        }
        self.agrees(now)
    }
}

impl Callers {
    fn ask(&self, now: &mut Now, caller: usize, seen: &mut Vec<&'static str>) -> Result<(), String> {
        now.drop_late();
        let ret = self.apply(now, Op::Ask);
        now.callers[caller].left -= 1;
        let room = self.config.max_wait_queue_size as usize;
        let expected = match now.line.len() {
            0 if now.places_taken() < now.bulkhead.limit() as usize => "may begin",
            waiting if waiting < room => "waits",
            _ => "is refused",
        };
        let is = match ret {
            Ret::Admitted => {
                now.callers[caller].is = Is::UnderWay;
                "may begin"
            }
            Ret::Waits(ticket) => {
                now.callers[caller].is = Is::Waiting(ticket);
                let wait = (self.config.max_wait.as_nanos() as u64 / TICK_NS) as u8;
                now.line.push((caller, now.ticks + wait));
                seen.push("a call waits");
                "waits"
            }
            _ => {
                seen.push("a call is refused");
                "is refused"
            }
        };
        if is == expected {
            Ok(())
        } else {
            Err(format!("a call {is}, where it should be that it {expected}"))
        }
    }

    fn look(&self, now: &mut Now, caller: usize, seen: &mut Vec<&'static str>) -> Result<(), String> {
        let Is::Waiting(ticket) = now.callers[caller].is else { unreachable!("it waits") };
        now.drop_late();
        self.move_up(now, seen);
        let ret = self.apply(now, Op::Claim(ticket));
        let is_in_line = now.line.iter().any(|&(other, _)| other == caller);
        let is_its_turn = now.turns.contains(&caller);
        match ret {
            Ret::Admitted if is_its_turn => {
                now.turns.retain(|&other| other != caller);
                now.callers[caller].is = Is::UnderWay;
                seen.push("one is called who waited");
            }
            Ret::Waits(_) if is_in_line => {}
            Ret::WaitedTooLong if !is_its_turn && !is_in_line => {
                now.callers[caller].is = Is::Idle;
                seen.push("a call has waited too long");
            }
            Ret::Admitted => return Err("one may begin whose turn it is not".to_owned()),
            ret => return Err(format!("one who looks whether it is its turn hears {ret:?}")),
        }
        Ok(())
    }

    fn apply(&self, now: &mut Now, op: Op) -> Ret {
        now.bulkhead.apply(&self.config, time(now.ticks), op)
    }

    /// The first in line have their turn, as far as there are places.
    fn move_up(&self, now: &mut Now, seen: &mut Vec<&'static str>) {
        now.drop_late();
        while now.places_taken() < now.bulkhead.limit() as usize && !now.line.is_empty() {
            let (caller, _) = now.line.remove(0);
            now.turns.push(caller);
            seen.push("one is called who waited");
        }
    }

    fn agrees(&self, now: &Now) -> Result<(), String> {
        let under_way = now.under_way();
        let is = now.bulkhead.under_way() as usize;
        if is != under_way {
            return Err(format!("it counts {is} under way, and there are {under_way}"));
        }
        // A limit that falls does not end what is under way.
        if self.config.adaptive.is_none() && now.places_taken() > self.config.max_concurrent_calls as usize {
            return Err(format!("{} have a place", now.places_taken()));
        }
        let called: Vec<Ticket> = now.bulkhead.called().collect();
        let ticket = |&caller: &usize| match now.callers[caller].is {
            Is::Waiting(ticket) => ticket,
            _ => unreachable!("whose turn it is waits"),
        };
        let mut expected: Vec<Ticket> = now.turns.iter().map(ticket).collect();
        expected.sort_unstable();
        if called == expected {
            return Ok(());
        }
        Err(format!("it calls {called:?}, and it is the turn of {expected:?}"))
    }
}

impl Now {
    fn under_way(&self) -> usize {
        self.callers.iter().filter(|caller| caller.is == Is::UnderWay).count()
    }

    fn places_taken(&self) -> usize {
        self.under_way() + self.turns.len()
    }

    fn drop_late(&mut self) {
        let now = self.ticks;
        self.line.retain(|&(_, until)| until > now);
    }
}
