"""Who asks: loaded by Schemathesis, told by the file that MARTLET_PEOPLE names.

Everybody's requests come from one caller, but for operations after which there is no such caller any more: each request of
those comes from a person who has not asked for anything yet, in an organization of their own.
"""

import json
import os
from pathlib import Path
from uuid import UUID

import schemathesis

PEOPLE = json.loads(Path(os.environ["MARTLET_PEOPLE"]).read_text())
OTHERS = iter(PEOPLE["others"])

# What ends the caller's session.
FAREWELLS = {
    "DELETE /v1/auth/sessions/{id}",
    "POST /v1/auth/logout",
    "POST /v1/auth/password",
    "POST /v1/auth/switch",
    "POST /v1/organizations/{id}/delete",
    "POST /v1/organizations/{id}/leave",
}
# What is of another organization, and may end the sessions in it.
ELSEWHERE = {
    "GET /v1/admin/organizations/{id}",
    "PATCH /v1/admin/organizations/{id}",
    "POST /v1/admin/organizations/{id}/resume",
    "POST /v1/admin/organizations/{id}/suspend",
}


def is_id(value):
    try:
        return bool(UUID(value))
    except (AttributeError, TypeError, ValueError):
        return False


@schemathesis.auth(refresh_interval=None)
class Sessions:
    def get(self, case, context):
        return PEOPLE["caller"]

    def set(self, case, data, context):
        operation = case.operation.label
        if operation in FAREWELLS | ELSEWHERE:
            other = next(OTHERS)
            if "/organizations/{id}" in operation and is_id(case.path_parameters.get("id")):
                case.path_parameters["id"] = other["organization"]
            if operation in FAREWELLS:
                data = other
        case.headers["Authorization"] = f"Bearer {data['token']}"
