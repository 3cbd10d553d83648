"""From a station's MQTT message to the sales table; what fails on the way is kept and seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.findings import accept
from infra.functions import TIMEOUT, PlatformFunction
from infra.keys import about
from infra.queues import FailureQueue, WorkQueue, accept_encrypted_sends, usable_by

if TYPE_CHECKING:
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.tables import Tables

__all__ = ["Intake"]

# `*` keeps the bytes as sent, well-formed or not: what ingest quarantines is what arrived.
SELECT_MESSAGES = (
    "SELECT encode(*, 'base64') AS payload, topic() AS topic, clientid() AS client_id, "
    "timestamp() AS received_at_ms FROM 'forecourt/+/up/+'"
)
BATCH_SIZE = 10
# A driver looks at the app within the minute; older than this, something stands.
AGE_MAX = cdk.Duration.seconds(60)
THING = "${iot:Connection.Thing.ThingName}"


class Intake(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        keys: Keys,
        identity_secret: IdentitySecret,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        target = runtime.target
        self.station_policy = self._station_policy()
        self.queue = WorkQueue(
            self,
            "Messages",
            keys=keys,
            target=target,
            failures=FailureQueue(self, "NotIngested", keys=keys, target=target),
            reader_timeout=TIMEOUT,
            age_max=AGE_MAX,
        )
        self._route_messages(FailureQueue(self, "Undeliverable", keys=keys, target=target))
        self.ingest = PlatformFunction(
            self,
            "Ingest",
            name="ingest",
            description="Validates what stations report, writes each sale once, acknowledges",
            runtime=runtime,
            environment={
                "SALES_TABLE": tables.sales.table_name,
                "LOYALTY_TABLE": tables.loyalty.table_name,
                **identity_secret.environment,
                "SEAL_KEY_ID": keys.seal.key_arn,
            },
        )
        self.ingest.add_event_source(
            event_sources.SqsEventSource(
                usable_by(self.ingest, self.queue),
                batch_size=BATCH_SIZE,
                report_batch_item_failures=True,
            )
        )
        self._grant(tables=tables, keys=keys, identity_secret=identity_secret)

    def _grant(self, *, tables: Tables, keys: Keys, identity_secret: IdentitySecret) -> None:
        tables.sales.let(self.ingest, "PutItem", leading_keys=["STATION#*", "QUARANTINE#*"])
        # What a till tells joins the pump's sale, and takes back a question asked too soon, or
        # along what was answered to it.
        tables.sales.let(self.ingest, "Query", "UpdateItem", leading_keys=["STATION#*"])
        tables.loyalty.let(self.ingest, "GetItem", "DeleteItem", leading_keys=["ASKED#*"])
        tables.loyalty.let(self.ingest, "GetItem", "UpdateItem", leading_keys=["STATIONS"])
        identity_secret.let_read(self.ingest)
        self.ingest.allow("kms:Encrypt", on=keys.seal.key_arn, conditions=about("sale_id"))
        acks = self._iot_arn("topic", "forecourt/*/down/acks")
        self.ingest.allow("iot:Publish", on=acks)
        accept(
            self.ingest.execution_role,
            {
                f"AwsSolutions-IAM5[Resource::{acks}]": "Acknowledgements go to every station, "
                "each under its own topic."
            },
        )

    def _station_policy(self) -> iot.CfnPolicy:
        """
        Let a station connect as itself and speak and listen under its own topics only.

        The certificate must be attached to the thing whose name is the client id; then the thing's
        name is what the policy variable holds.
        """
        down = f"forecourt/{THING}/down/*"
        statements = [
            iam.PolicyStatement(
                actions=["iot:Connect"],
                resources=[self._iot_arn("client", THING)],
                conditions={"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
            ),
            iam.PolicyStatement(
                actions=["iot:Publish"],
                resources=[self._iot_arn("topic", f"forecourt/{THING}/up/*")],
            ),
            iam.PolicyStatement(
                actions=["iot:Subscribe"], resources=[self._iot_arn("topicfilter", down)]
            ),
            iam.PolicyStatement(actions=["iot:Receive"], resources=[self._iot_arn("topic", down)]),
        ]
        return iot.CfnPolicy(
            self,
            "StationPolicy",
            policy_document=iam.PolicyDocument(statements=statements, minimize=False),
        )

    def _route_messages(self, undeliverable: FailureQueue) -> None:
        role = iam.Role(
            self,
            "RuleRole",
            assumed_by=iam.ServicePrincipal(
                "iot.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            ),
            description="Forecourt topic rule: puts messages into two queues",
        )
        for queue in (self.queue, undeliverable):
            queue.grant_send_messages(role)
        accept_encrypted_sends(role)
        rule = iot.CfnTopicRule(
            self,
            "Rule",
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                description="Every message of every station, as it came, to the ingest queue",
                aws_iot_sql_version="2016-03-23",
                sql=SELECT_MESSAGES,
                rule_disabled=False,
                actions=[iot.CfnTopicRule.ActionProperty(sqs=_send_to(self.queue, role))],
                error_action=iot.CfnTopicRule.ActionProperty(sqs=_send_to(undeliverable, role)),
            ),
        )
        # IoT tries the role when the rule is made, so the role's grants must exist by then.
        rule.node.add_dependency(role)

    def _iot_arn(self, kind: str, name: str) -> str:
        return str(cdk.Stack.of(self).format_arn(service="iot", resource=kind, resource_name=name))


def _send_to(queue: sqs.Queue, role: iam.Role) -> iot.CfnTopicRule.SqsActionProperty:
    return iot.CfnTopicRule.SqsActionProperty(
        queue_url=queue.queue_url, role_arn=role.role_arn, use_base64=False
    )
