"""
Alarms and the dashboard.

They are found, not listed: whatever stands in the stack (a failure queue, a function, a stream
mapping) gets its alarm here, so that nobody can forget one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.functions import METRICS_NAMESPACE, PlatformFunction
from infra.queues import FailureQueue, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_apigatewayv2 as apigw
    from aws_cdk import aws_sqs as sqs

    from infra.keys import Keys
    from infra.target import Target

__all__ = ["ALARMING_METRICS", "Observability"]

MINUTE = cdk.Duration.minutes(1)
FIVE_MINUTES = cdk.Duration.minutes(5)
STREAM_AGE_MAX_MS = 60_000
# One error is retried and mostly gone; this many in five minutes are not chance.
ERRORS_MAX = 5
# What the functions themselves find alarming, by function and metric.
ALARMING_METRICS = {
    "closing": {"EntriesRecovered": "the archive had missed entries that were posted"},
    "due": {"RefundsWaiting": "a refund has waited a day for its sale"},
    "ingest": {
        "MessagesQuarantined": "a station sent what is no message of ours",
        "TransactionsLost": "a pump overwrote sales before they were read",
    },
    "reconciliation": {"StationDaysDifferent": "pump, sales and ledger do not agree"},
    "rekeying": {"ItemsNotRekeyed": "something is still hashed by the key that is rotated out"},
    "retention": {"EvidenceOverdue": "who was at a pump was known for longer than promised"},
    "verification": {
        "AccountsDifferent": "an account is not what its entries add up to",
        "DaysNotAsBooked": "a closed day has other entries than its book",
        "PassagesNotAtZero": "what one account gave is not what another got",
    },
}


class Observability(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        watched: Construct,
        ingest_queue: sqs.Queue,
        http_stage: apigw.HttpStage,
        keys: Keys,
        target: Target,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(
            self,
            "Alarms",
            display_name="Forecourt alarms",
            master_key=keys.data,
            enforce_ssl=target.tls,
        )
        found = watched.node.find_all()
        self._functions = [node for node in found if isinstance(node, PlatformFunction)]
        self._failures = [node for node in found if isinstance(node, FailureQueue)]
        self._work = [node for node in found if isinstance(node, WorkQueue)]
        self._ingest_queue = ingest_queue
        self._http_stage = http_stage
        self._watch_failures()
        self._watch_work()
        self._watch_functions()
        self._watch_doors()
        self._watch_business()
        self._dashboard()

    def _watch_failures(self) -> None:
        for queue in self._failures:
            self._alarm(
                queue,
                "Failures",
                _depth(queue),
                above=0,
                means="something failed for good and waits to be looked at",
            )

    def _watch_work(self) -> None:
        for queue in self._work:
            self._alarm(
                queue,
                "MessageAge",
                queue.metric_approximate_age_of_oldest_message(period=MINUTE),
                above=int(queue.age_max.to_seconds()),
                means="messages wait instead of being worked on",
                periods=5,
            )

    def _watch_functions(self) -> None:
        for function in self._functions:
            self._alarm(
                function,
                "Errors",
                function.metric_errors(period=FIVE_MINUTES),
                above=ERRORS_MAX,
                means="the function keeps failing",
            )
            self._alarm(
                function,
                "Throttles",
                function.metric_throttles(period=FIVE_MINUTES),
                above=0,
                means="the account's concurrency is used up",
            )
            if function.reads_a_stream:
                self._alarm(
                    function,
                    "IteratorAge",
                    _iterator_age(function),
                    above=STREAM_AGE_MAX_MS,
                    means="the stream is read more slowly than it is written",
                    periods=5,
                )

    def _watch_doors(self) -> None:
        self._alarm(
            self._http_stage,
            "ServerErrors",
            self._http_stage.metric_server_error(period=FIVE_MINUTES, statistic="Sum"),
            above=ERRORS_MAX,
            means="the API answers with errors of its own",
        )

    def _watch_business(self) -> None:
        for function in self._functions:
            for name, means in ALARMING_METRICS.get(function.short_name, {}).items():
                metric = cloudwatch.Metric(
                    namespace=METRICS_NAMESPACE,
                    metric_name=name,
                    # Powertools reports under the service, which is the function's name.
                    dimensions_map={"service": function.short_name},
                    period=FIVE_MINUTES,
                    statistic="Sum",
                )
                self._alarm(function, name, metric, above=0, means=means)

    def _alarm(
        self,
        subject: Construct,
        what: str,
        metric: cloudwatch.IMetric,
        *,
        above: int,
        means: str,
        periods: int = 1,
    ) -> None:
        place = "".join(subject.node.path.split("/")[1:])
        alarm = cloudwatch.Alarm(
            self,
            f"{place}{what}",
            metric=metric,
            threshold=above,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{subject.node.path}: {means}.",
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))

    def _dashboard(self) -> None:
        streams = [function for function in self._functions if function.reads_a_stream]
        per_function = [
            ("Invocations", [f.metric_invocations(period=MINUTE) for f in self._functions]),
            ("Errors", [f.metric_errors(period=MINUTE) for f in self._functions]),
            (
                "Duration, p95 (ms)",
                [f.metric_duration(period=MINUTE, statistic="p95") for f in self._functions],
            ),
        ]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            widgets=[
                [
                    _graph(
                        "Messages from stations",
                        [
                            self._ingest_queue.metric_number_of_messages_sent(period=MINUTE),
                            self._ingest_queue.metric_approximate_age_of_oldest_message(
                                period=MINUTE
                            ),
                        ],
                    ),
                    _graph("Stream lag (ms)", [_iterator_age(function) for function in streams]),
                    _graph("Failures waiting", [_depth(queue) for queue in self._failures]),
                ],
                [_graph(title, metrics) for title, metrics in per_function],
                [
                    _graph(
                        "API requests and errors",
                        [
                            self._http_stage.metric_count(period=MINUTE),
                            self._http_stage.metric_client_error(period=MINUTE),
                            self._http_stage.metric_server_error(period=MINUTE),
                        ],
                    ),
                    _graph(
                        "API latency, p95 (ms)",
                        [self._http_stage.metric_latency(period=MINUTE, statistic="p95")],
                    ),
                ],
            ],
        )


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, width=8, left=list(metrics))


def _depth(queue: sqs.Queue) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum")


def _iterator_age(function: PlatformFunction) -> cloudwatch.Metric:
    return function.metric("IteratorAge", period=MINUTE, statistic="Maximum")
