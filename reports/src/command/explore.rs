//! `shakedown explore`: stateright's explorer on a case of the model world, in the browser.

use super::run::check_case;
use super::{Stopped, Streams};
use crate::args::pattern::ExploreArgs;
use crate::diagnostic::InputError;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::names::{mutant_named, pattern_named, refused};
use crate::panics;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Serves the explorer until the process ends.
pub fn run(args: &ExploreArgs, streams: &mut Streams<'_>) -> Result<Exit, Stopped> {
    let pattern = pattern_named(&args.pattern)?;
    let mutant = args.mutant.as_deref().map(|name| mutant_named(pattern, name)).transpose()?;
    let case = usize::from(args.case);
    check_case(pattern, case)?;
    let interrupt = Interrupt::listen();
    let address = free_address(args.port)?;
    panics::keep_quiet();
    writeln!(streams.out, "http://{address}/")?;
    writeln!(streams.out, "  Case {case}: {}.", pattern.cases()[case - 1])?;
    if let Some(mutant) = mutant {
        writeln!(streams.out, "  With the mutant {mutant}.")?;
    }
    writeln!(streams.out, "  Open it in a browser; Ctrl-C ends it.")?;
    streams.out.flush()?;
    let serve = || pattern.serve(case, mutant, address);
    interrupt.while_waiting(Exit::Valid, serve).map_err(|error| refused(&error))?;
    Ok(Exit::Valid)
}

/// An address on this machine that can be served on: the explorer itself would not say why it cannot.
fn free_address(port: u16) -> Result<SocketAddr, InputError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    listener.and_then(|listener| listener.local_addr()).map_err(|error| {
        let message = format!("cannot serve on port {port}: {error}");
        InputError::new(message, Some("name another with --port, or 0 for any that is free".to_owned()))
    })
}
