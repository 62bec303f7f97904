"""Who is asking, what they may do, and which policy applies where they are."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.params import Security
from fastapi.security import APIKeyCookie, HTTPBearer

from kadr.law import rules
from kadr.law.policy import Policy
from kadr.law.rules import COUNTRIES
from kadr.service.config import SCOPES, Scope, Service
from kadr.service.keys import Keyring
from kadr.service.problems import ProblemError, unavailable_for_legal_reasons

COOKIE = "kadr_key"
_BEARER = HTTPBearer(auto_error=False, description="An API key: kadr keys add")
_SESSION = APIKeyCookie(
    name=COOKIE, auto_error=False, description="The same key, as the page keeps it."
)
LANGUAGES = ("en", "ru")


@dataclass(frozen=True)
class Visitor:
    """Who is asking: the name of their key, None without one, and what they may do."""

    name: str | None
    scopes: frozenset[Scope]


class Authenticator:
    """Identifies visitors by their keys."""

    def __init__(self, service: Service) -> None:
        self.keys = Keyring(service.keys)
        self._said = service.anonymous

    def admit(self, request: Request) -> Visitor:
        """Who sent a request.

        Raises:
            ProblemError: 401, their key isn't valid, or they need one.
        """
        visitor = self.visitor(_given_key(request))
        if not visitor.scopes:
            raise _unknown("This needs a key: Authorization: Bearer KEY (kadr keys add).")
        return visitor

    def visitor(self, given: str | None) -> Visitor:
        """Who has this key; the anonymous visitor for None.

        Raises:
            ProblemError: 401, the key isn't valid.
        """
        if not given:
            return Visitor(None, self._anonymous)
        key = self.keys.find(given)
        if key is None:
            raise _unknown("This key isn't valid, or it was removed.")
        return Visitor(key.name, frozenset(key.scopes) | self._anonymous)

    @property
    def _anonymous(self) -> frozenset[Scope]:
        if self._said is not None:
            return frozenset(self._said)
        return frozenset() if self.keys else frozenset(SCOPES)


def _given_key(request: Request) -> str | None:
    """The key that a request brings, in a header or in the page's cookie."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return request.cookies.get(COOKIE)


def needs(scope: Scope) -> Any:
    """A dependency: the visitor, who must have this scope."""

    async def check(
        request: Request,
        _bearer: Annotated[Any, Security(_BEARER)] = None,
        _session: Annotated[Any, Security(_SESSION)] = None,
    ) -> Visitor:
        authenticator: Authenticator = request.app.state.authenticator
        visitor = authenticator.admit(request)
        request.scope["state"]["visitor"] = visitor.name  # for the log
        if scope in visitor.scopes:
            return visitor
        if visitor.name is None:
            raise _unknown(f"This needs a key with the scope {scope} (kadr keys add).")
        raise ProblemError(403, f"This key lacks the scope {scope}.")

    return Depends(check)


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, {"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True)
class RequestPolicy:
    """The policy that applies to a request, in which country and language."""

    policy: Policy
    country: str | None
    language: str
    blocked_by: str

    def blocked(self) -> Exception:
        """What to raise for what the policy hides."""
        return unavailable_for_legal_reasons(self.policy, self.language, self.blocked_by)


class PolicyResolver:
    """Finds the policy that applies to a request."""

    def __init__(self, service: Service) -> None:
        """Raises PolicyError where the policy can't be read."""
        self._service = service
        self._of = rules.by_country(service.policy)

    @property
    def strictest(self) -> Policy:
        """The policy where the country is unknown."""
        return self._of(self._service.country)

    def resolve(self, request: Request, country: str | None, language: str | None) -> RequestPolicy:
        """The policy that applies to a request."""
        resolved = self._country(request, country)
        return RequestPolicy(
            self._of(resolved),
            resolved,
            language or preferred(request.headers.get("accept-language", "")),
            self._service.blocked_by or str(request.base_url),
        )

    def _country(self, request: Request, parameter: str | None) -> str | None:
        service = self._service
        if service.country is not None:
            return service.country.upper()
        country: str | None = None
        if service.country_header and service.trusts(request.scope["state"].get("peer")):
            values = request.headers.getlist(service.country_header)
            country = (
                values[0] if len(values) == 1 else None
            )  # the visitor's own beside the proxy's?
        elif service.country_parameter:
            country = parameter
        country = (country or "").strip().upper()
        return country if country in COUNTRIES else None


async def request_policy(
    request: Request,
    country: Annotated[
        str | None,
        Query(
            max_length=2,
            description="Where the visitor is (ISO 3166-1). Ignored unless the service was started "
            "with --country-parameter.",
            examples=["RU"],
        ),
    ] = None,
    lang: Annotated[
        str | None,
        Query(pattern="^(en|ru)$", description="Of notices. Default: by Accept-Language, then en."),
    ] = None,
) -> RequestPolicy:
    """A dependency: the policy that applies to the request."""
    policy_resolver: PolicyResolver = request.app.state.policy_resolver
    return policy_resolver.resolve(request, country, lang)


def preferred(header: str) -> str:
    """The first language of an Accept-Language header that has notices; else English."""
    for choice in header.split(","):
        code = choice.partition(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
