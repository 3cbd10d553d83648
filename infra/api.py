"""The HTTP API: routes, who may call them, and the functions behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import accept
from infra.functions import LOG_RETENTION, PlatformFunction
from infra.keys import about
from infra.routes import (
    CORRECTION_ROUTES,
    MEMBER_ROUTES,
    MERGE_ROUTES,
    OPERATOR_ROUTES,
    PUBLIC_ROUTES,
    REDEMPTION_ROUTES,
    RULING_ROUTES,
)
from infra.rulings import let_rule
from infra.tables import REVIEW_INDEX

if TYPE_CHECKING:
    from aws_cdk import aws_iot as iot

    from infra.books import Books
    from infra.functions import Runtime
    from infra.identity import IdentitySecret
    from infra.keys import Keys
    from infra.learning import Learning
    from infra.tables import Tables
    from infra.users import Users

__all__ = ["Api"]

# Above what a chain of a thousand stations sends at its busiest minute; a leaked token cannot
# spend more than this.
REQUESTS_PER_SECOND_MAX = 500
BURST_MAX = 1000
# API Gateway gives up after 30 seconds; a function that answers later answers nobody.
TIMEOUT = cdk.Duration.seconds(15)
# API functions load pydantic; more memory is more CPU, which is what a cold start waits for.
MEMORY_MB = 1024


# One JSON line per request, without the query string or anything personal.
ACCESS_LOG_FIELDS = {
    "request_id": "$context.requestId",
    "requested_at": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "caller": "$context.authorizer.claims.sub",
    "latency_ms": "$context.responseLatency",
    "integration_error": "$context.integrationErrorMessage",
}


class Api(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Tables,
        books: Books,
        users: Users,
        keys: Keys,
        identity_secret: IdentitySecret,
        station_policy: iot.CfnPolicy,
        learning: Learning,
        runtime: Runtime,
    ) -> None:
        super().__init__(scope, construct_id)
        self._runtime = runtime
        self._tables = tables
        self._books = books
        self._keys = keys
        self.http_api = apigw.HttpApi(
            self, "Http", description="Forecourt", create_default_stage=False
        )
        self.stage = self._stage()
        self.members = self._members(identity_secret)
        self.operator = self._operator(station_policy, learning)
        self.rulings = self._rulings()
        self.merging = self._merging()
        self.corrections = self._corrections()
        self.redemption = self._redemption()
        self.openapi = PlatformFunction(
            self,
            "OpenApi",
            name="openapi",
            description="Serves the description of the API",
            runtime=runtime,
            environment={},
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        signed_in = authorizers.HttpUserPoolAuthorizer(
            "SignedIn", users.pool, user_pool_clients=[users.client]
        )
        self._route(MEMBER_ROUTES, self.members, authorizer=signed_in)
        self._route(OPERATOR_ROUTES, self.operator, authorizer=signed_in)
        self._route(RULING_ROUTES, self.rulings, authorizer=signed_in)
        self._route(MERGE_ROUTES, self.merging, authorizer=signed_in)
        self._route(CORRECTION_ROUTES, self.corrections, authorizer=signed_in)
        self._route(REDEMPTION_ROUTES, self.redemption, authorizer=signed_in)
        public = self._route(PUBLIC_ROUTES, self.openapi, authorizer=apigw.HttpNoneAuthorizer())
        for route in public:
            accept(route, {"AwsSolutions-APIG4": "The description of the API is for everyone."})

    @property
    def url(self) -> str:
        return str(self.http_api.api_endpoint)

    def _stage(self) -> apigw.HttpStage:
        log_group = logs.LogGroup(
            self,
            "AccessLogs",
            retention=LOG_RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        stage = apigw.HttpStage(
            self,
            "Stage",
            http_api=self.http_api,
            stage_name="$default",
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigw.ThrottleSettings(
                rate_limit=REQUESTS_PER_SECOND_MAX, burst_limit=BURST_MAX
            ),
        )
        default = stage.node.default_child
        if not isinstance(default, apigw.CfnStage):
            raise TypeError(default)
        default.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group.log_group_arn, format=json.dumps(ACCESS_LOG_FIELDS)
        )
        return stage

    def _members(self, identity_secret: IdentitySecret) -> PlatformFunction:
        tables = self._tables
        members = PlatformFunction(
            self,
            "Members",
            name="members",
            description="What a member sees and does: profile, identities, points, entries, sales",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "SALES_TABLE": tables.sales.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
                "BOOKS_BUCKET": self._books.closed.bucket_name,
                **identity_secret.environment,
                "SEAL_KEY_ID": self._keys.seal.key_arn,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        loyalty = tables.loyalty
        # Of the program, the zone in force: whose day it is.
        loyalty.let(members, "GetItem", leading_keys=["MEMBER#*", "IDENTITY#*", "PROGRAM"])
        loyalty.let(
            members, "Query", "BatchGetItem", "ConditionCheckItem", leading_keys=["MEMBER#*"]
        )
        loyalty.let(members, "PutItem", leading_keys=["MEMBER#*", "IDENTITY#*"])
        loyalty.let(members, "UpdateItem", leading_keys=["MEMBER#*"])
        # To prove an entry: which book it is in, and the hashes of that book.
        loyalty.let(members, "Query", leading_keys=["BOOKS"])
        self._books.closed.let(members, "GetObject", below="books/")
        # What is bound is also in the member's portrait, and a phone is counted in its block.
        loyalty.let(members, "UpdateItem", leading_keys=["PORTRAIT#*", "BLOCK#*"])
        # While two keys of the hashes are accepted, the same value must not begin under both.
        loyalty.let(members, "DeleteItem", "ConditionCheckItem", leading_keys=["IDENTITY#*"])
        # That a member is at a station which there is.
        loyalty.let(members, "GetItem", leading_keys=["STATIONS"])
        loyalty.let(members, "GetItem", "PutItem", leading_keys=["PRESENCE#*"])
        # The sales a member is asked about, and those that may be suggested to them.
        tables.sales.let(members, "BatchGetItem", "Query", leading_keys=["STATION#*"])
        loyalty.let(members, "GetItem", leading_keys=["PORTRAIT#*"])
        loyalty.let(members, "Query", "PutItem", "UpdateItem", leading_keys=["ASKED#*"])
        self._let_answer_once(members)
        identity_secret.let_read(members)
        members.allow(
            "kms:Encrypt",
            "kms:Decrypt",
            on=self._keys.seal.key_arn,
            conditions=about("member_id"),
        )
        return members

    def _operator(self, station_policy: iot.CfnPolicy, learning: Learning) -> PlatformFunction:
        tables = self._tables
        operator = PlatformFunction(
            self,
            "Operator",
            name="operator",
            description="What head office does: stations, programs, weights, quotes, sales held",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "SALES_TABLE": tables.sales.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
                "SEAL_KEY_ID": self._keys.seal.key_arn,
                "STATION_POLICY": station_policy.ref,
                "LEARNING_FUNCTION": learning.function.function_name,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        tables.loyalty.let(
            operator, "GetItem", "Query", "PutItem", leading_keys=["STATIONS", "PROGRAM", "WEIGHTS"]
        )
        tables.loyalty.let(operator, "UpdateItem", leading_keys=["STATIONS", "PROGRAM"])
        tables.sales.let(operator, "GetItem", "UpdateItem", leading_keys=["STATION#*"])
        tables.sales.let(
            operator,
            "Query",
            leading_keys=["held", "pending", "unmatched", "quarantined", "tellings"],
            index=REVIEW_INDEX,
        )
        # What tills told of a station's day.
        tables.sales.let(operator, "Query", leading_keys=["STATION#*"])
        # A telling that joins a sale takes back a question asked too soon, or along what was
        # answered to it.
        tables.loyalty.let(operator, "GetItem", "DeleteItem", leading_keys=["ASKED#*"])
        operator.allow("lambda:InvokeFunction", on=learning.function.function_arn)
        self._let_answer_once(operator)
        operator.allow("kms:Decrypt", on=self._keys.seal.key_arn, conditions=about("sale_id"))
        self._let_register_stations(operator)
        return operator

    def _rulings(self) -> PlatformFunction:
        tables = self._tables
        rulings = PlatformFunction(
            self,
            "Rulings",
            name="rulings",
            description="Lets a person decide whose a sale is, and take it from somebody again",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "SALES_TABLE": tables.sales.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        tables.sales.let(rulings, "GetItem", "UpdateItem", leading_keys=["STATION#*"])
        tables.loyalty.let(rulings, "Query", leading_keys=["RULINGS#*"])
        let_rule(rulings, tables)
        self._let_answer_once(rulings)
        return rulings

    def _corrections(self) -> PlatformFunction:
        tables = self._tables
        corrections = PlatformFunction(
            self,
            "Corrections",
            name="corrections",
            description="Changes the books by hand: adjustments, refunds, budgets, awards",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "SALES_TABLE": tables.sales.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        loyalty = tables.loyalty
        loyalty.let(corrections, "GetItem", leading_keys=["MEMBER#*", "PROGRAM", "BUDGETS"])
        loyalty.let(
            corrections,
            "BatchGetItem",
            "PutItem",
            "DeleteItem",
            leading_keys=["MEMBER#*", "ADJUSTMENTS"],
        )
        loyalty.let(corrections, "PutItem", "Query", leading_keys=["BUDGETS"])
        # A refund that waits for its sale, which must not be there yet; points given by hand that
        # are refused, for whose reversal nothing may wait.
        loyalty.let(corrections, "ConditionCheckItem", leading_keys=["MEMBER#*"])
        # Who had a sale before: a refund may have been made of theirs.
        loyalty.let(corrections, "Query", leading_keys=["RULINGS#*"])
        loyalty.let(corrections, "Query", leading_keys=["ADJUSTMENTS"])
        tables.sales.let(corrections, "GetItem", leading_keys=["STATION#*"])
        self._let_answer_once(corrections)
        return corrections

    def _redemption(self) -> PlatformFunction:
        tables = self._tables
        redemption = PlatformFunction(
            self,
            "Redemption",
            name="redemption",
            description="Lets members spend, hold, give and pool points; tills take and give back",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        loyalty = tables.loyalty
        loyalty.let(redemption, "GetItem", leading_keys=["MEMBER#*", "PROGRAM"])
        # Two accounts of a transfer; the pools a member is in.
        loyalty.let(redemption, "BatchGetItem", "Query", "PutItem", leading_keys=["MEMBER#*"])
        # A deposit that is refused, for whose refund nothing may wait.
        loyalty.let(redemption, "ConditionCheckItem", leading_keys=["MEMBER#*"])
        # Of a pool, the membership of who leaves it.
        loyalty.let(redemption, "DeleteItem", leading_keys=["MEMBER#*"])
        self._let_answer_once(redemption)
        return redemption

    def _merging(self) -> PlatformFunction:
        tables = self._tables
        merging = PlatformFunction(
            self,
            "Merging",
            name="merging",
            description="Makes two members' records one, and two again",
            runtime=self._runtime,
            environment={
                "LOYALTY_TABLE": tables.loyalty.table_name,
                "REQUESTS_TABLE": tables.requests.table_name,
                "SEAL_KEY_ID": self._keys.seal.key_arn,
            },
            memory_mb=MEMORY_MB,
            timeout=TIMEOUT,
        )
        loyalty = tables.loyalty
        loyalty.let(merging, "GetItem", leading_keys=["MEMBER#*", "IDENTITY#*", "PROGRAM"])
        loyalty.let(merging, "BatchGetItem", leading_keys=["MEMBER#*"])
        loyalty.let(merging, "Query", leading_keys=["MEMBER#*", "MERGES#*"])
        loyalty.let(merging, "PutItem", leading_keys=["MEMBER#*", "MERGES#*", "IDENTITY#*"])
        loyalty.let(merging, "DeleteItem", leading_keys=["IDENTITY#*"])
        loyalty.let(merging, "UpdateItem", leading_keys=["MEMBER#*", "PORTRAIT#*"])
        self._let_answer_once(merging)
        # What is sealed is bound to its member: it moves by being sealed anew.
        merging.allow(
            "kms:Encrypt",
            "kms:Decrypt",
            on=self._keys.seal.key_arn,
            conditions=about("member_id"),
        )
        return merging

    def _let_register_stations(self, operator: PlatformFunction) -> None:
        stack = cdk.Stack.of(self)
        things = stack.format_arn(service="iot", resource="thing", resource_name="*")
        certificates = stack.format_arn(service="iot", resource="cert", resource_name="*")
        operator.allow("iot:CreateThing", "iot:ListThingPrincipals", on=things)
        operator.allow("iot:AttachPolicy", on=certificates)
        operator.allow(
            "iot:CreateKeysAndCertificate",
            "iot:CreateCertificateFromCsr",
            "iot:AttachThingPrincipal",
            on="*",
        )
        reasons = {
            things: "A station's name is known when it is registered.",
            certificates: "A certificate's id is known when it has been made.",
            "*": "AWS IoT limits neither making a certificate nor AttachThingPrincipal to a "
            "resource.",
        }
        accept(
            operator.execution_role,
            {
                f"AwsSolutions-IAM5[Resource::{resource}]": reason
                for resource, reason in reasons.items()
            },
        )

    def _let_answer_once(self, function: PlatformFunction) -> None:
        self._tables.requests.let(function, "GetItem", "PutItem", "UpdateItem", "DeleteItem")

    def _route(
        self,
        routes: tuple[str, ...],
        function: PlatformFunction,
        *,
        authorizer: apigw.IHttpRouteAuthorizer,
    ) -> list[apigw.HttpRoute]:
        integration = integrations.HttpLambdaIntegration(
            f"{function.node.id}Integration", function, scope_permission_to_route=False
        )
        added: list[apigw.HttpRoute] = []
        for route in routes:
            method, path = route.split(" ")
            added += self.http_api.add_routes(
                path=path,
                methods=[apigw.HttpMethod(method)],
                integration=integration,
                authorizer=authorizer,
            )
        return added
