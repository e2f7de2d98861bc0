//! Metric families that are made when they are scraped: nothing has to be removed when a stream goes.

use std::collections::HashMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// A label's name and value.
pub(crate) type Label<'a> = (&'a str, &'a str);

/// Families in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Families {
    all: Vec<MetricFamily>,
    places: HashMap<&'static str, usize>,
}

impl Families {
    pub(crate) fn into_inner(self) -> Vec<MetricFamily> {
        self.all
    }

    pub(crate) fn gauge(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[Label<'_>],
        value: f64,
    ) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    pub(crate) fn counter(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[Label<'_>],
        value: u64,
    ) {
        let mut counter = Counter::default();
        counter.set_value(float(value));
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    /// `buckets` are upper bounds, ascending, with what fell into each; the last one is infinite.
    pub(crate) fn histogram(
        &mut self,
        name: &'static str,
        help: &str,
        labels: &[Label<'_>],
        (buckets, sum): (&[(f64, u64)], f64),
    ) {
        let mut histogram = Histogram::default();
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(buckets.len());
        for (bound, n) in buckets {
            count += n;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(count);
            cumulative.push(bucket);
        }
        histogram.set_bucket(cumulative);
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.add(name, help, MetricType::HISTOGRAM, metric);
    }

    fn add(&mut self, name: &'static str, help: &str, kind: MetricType, metric: Metric) {
        let place = *self.places.entry(name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            self.all.push(family);
            self.all.len() - 1
        });
        self.all[place].mut_metric().push(metric);
    }
}

fn labelled(labels: &[Label<'_>]) -> Metric {
    let pair = |(name, value): &Label<'_>| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// Prometheus counts in floating point.
#[expect(
    clippy::cast_precision_loss,
    reason = "the text format has no integers"
)]
pub(crate) fn float(n: u64) -> f64 {
    n as f64
}
