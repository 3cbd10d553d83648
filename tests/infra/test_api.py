"""The API's doors: who passes, and how many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.infra.templates import Synthesised


def test_only_the_description_is_public(aws: Synthesised) -> None:
    public = {
        route["Properties"]["RouteKey"]
        for route in aws.of_type("AWS::ApiGatewayV2::Route").values()
        if route["Properties"]["AuthorizationType"] != "JWT"
    }

    assert public == {"GET /openapi.json"}


def test_tokens_are_those_of_our_users_for_our_apps(aws: Synthesised) -> None:
    (authorizer,) = aws.of_type("AWS::ApiGatewayV2::Authorizer").values()
    (client,) = aws.of_type("AWS::Cognito::UserPoolClient")
    (pool,) = aws.of_type("AWS::Cognito::UserPool")
    configuration = authorizer["Properties"]["JwtConfiguration"]

    assert configuration["Audience"] == [{"Ref": client}]
    assert {"Ref": pool} in configuration["Issuer"]["Fn::Join"][1]


def test_nobody_signs_up_alone(aws: Synthesised) -> None:
    (pool,) = aws.of_type("AWS::Cognito::UserPool").values()

    assert pool["Properties"]["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


def test_the_groups_are_those_the_functions_know(aws: Synthesised) -> None:
    groups = {
        group["Properties"]["GroupName"]
        for group in aws.of_type("AWS::Cognito::UserPoolGroup").values()
    }

    assert groups == {"member", "attendant", "manager", "operator", "auditor"}


def test_requests_are_throttled_and_logged(aws: Synthesised) -> None:
    (stage,) = aws.of_type("AWS::ApiGatewayV2::Stage").values()
    properties = stage["Properties"]

    assert properties["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert properties["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0
    logged = json.loads(properties["AccessLogSettings"]["Format"])
    assert {"request_id", "route", "status"} <= logged.keys()


def test_the_access_log_holds_nothing_personal(aws: Synthesised) -> None:
    (stage,) = aws.of_type("AWS::ApiGatewayV2::Stage").values()
    logged = stage["Properties"]["AccessLogSettings"]["Format"]

    for personal in ("sourceIp", "userAgent", "$context.path", "querystring", "username"):
        assert personal not in logged
