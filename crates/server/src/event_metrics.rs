//! What is counted of events and of their delivery.

use crate::families::{Families, float};
use crate::hooks::HookFigures;
use crate::runtime::Manager;

pub(crate) fn read(page: &mut Families, manager: &Manager) {
    let events = manager.events.figures();
    let help = "Events that happened";
    page.counter("weir_events_total", help, &[], events.told);
    let help = "Events that were dropped before they were committed, because too many waited";
    page.counter("weir_events_dropped_total", help, &[], events.dropped);
    let help = "Events that wait to be committed";
    let waiting = float(events.waiting as u64);
    page.gauge("weir_events_waiting", help, &[], waiting);
    let help = "Streams that encoders made of templates";
    let born = float(manager.all_born().len() as u64);
    page.gauge("weir_runtime_streams", help, &[], born);
    for (id, figures) in manager.hooks.all_figures() {
        hook(page, &id, &figures);
    }
}

fn hook(page: &mut Families, id: &str, figures: &HookFigures) {
    let labels = [("hook", id)];
    let counters = [
        (
            "weir_hook_delivered_total",
            "Events that a hook's receiver took",
            figures.delivered,
        ),
        (
            "weir_hook_failures_total",
            "Requests to a hook's receiver that failed",
            figures.failures,
        ),
        (
            "weir_hook_dropped_total",
            "Events that were dropped because too many waited for the hook",
            figures.dropped,
        ),
    ];
    for (name, help, value) in counters {
        page.counter(name, help, &labels, value);
    }
    let gauges = [
        (
            "weir_hook_waiting",
            "Events that wait for the hook's receiver",
            figures.waiting,
        ),
        (
            "weir_hook_dead_letters",
            "Events that were given up for the hook",
            figures.dead,
        ),
        (
            "weir_hook_failing",
            "Whether the hook's receiver failed five times in a row",
            u64::from(figures.failing),
        ),
    ];
    for (name, help, value) in gauges {
        page.gauge(name, help, &labels, float(value));
    }
}
