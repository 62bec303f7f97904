"""Who asks, what they may do, and which law holds where they are."""

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
    """Who asks: the key's name, or None without one, and what that allows."""

    name: str | None
    scopes: frozenset[Scope]


class Authenticator:
    """Tells visitors by their keys."""

    def __init__(self, service: Service) -> None:
        self.keys = Keyring(service.keys)
        self._said = service.anonymous

    def admit(self, request: Request) -> Visitor:
        """Who sends a request.

        Raises:
            ProblemError: 401, what they give is no key, or they need one.
        """
        visitor = self.visitor(_given_key(request))
        if not visitor.scopes:
            raise _unknown("This needs a key: Authorization: Bearer KEY (kadr keys add).")
        return visitor

    def visitor(self, given: str | None) -> Visitor:
        """Who gives this key, or none.

        Raises:
            ProblemError: 401, it is no key.
        """
        if not given:
            return Visitor(None, self._anonymous)
        key = self.keys.find(given)
        if key is None:
            raise _unknown("This is no key of the service, or it was removed.")
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
    """A dependency: the visitor, who has this scope."""

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
        raise ProblemError(403, f"This key doesn't open that: it lacks the scope {scope}.")

    return Depends(check)


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, {"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True)
class RequestPolicy:
    """The policy that holds for a request, where, and in which language it speaks."""

    policy: Policy
    country: str | None
    language: str
    blocked_by: str

    def blocked(self) -> Exception:
        """What to raise for what the law hides."""
        return unavailable_for_legal_reasons(self.policy, self.language, self.blocked_by)


class PolicyResolver:
    """Finds the law of a request."""

    def __init__(self, service: Service) -> None:
        """Raises PolicyError where the policy can't be read."""
        self._service = service
        self._of = rules.by_country(service.policy)

    @property
    def strictest(self) -> Policy:
        """The policy of whoever isn't known to be anywhere."""
        return self._of(self._service.country)

    def law(self, request: Request, country: str | None, language: str | None) -> RequestPolicy:
        """The law that holds for a request."""
        where = self._country(request, country)
        return RequestPolicy(
            self._of(where),
            where,
            language or preferred(request.headers.get("accept-language", "")),
            self._service.blocked_by or str(request.base_url),
        )

    def _country(self, request: Request, parameter: str | None) -> str | None:
        service = self._service
        if service.country is not None:
            return service.country.upper()
        found: str | None = None
        if service.country_header and service.trusts(request.scope["state"].get("peer")):
            told = request.headers.getlist(service.country_header)
            found = told[0] if len(told) == 1 else None  # the visitor's own beside the proxy's?
        elif service.country_parameter:
            found = parameter
        found = (found or "").strip().upper()
        return found if found in COUNTRIES else None


async def policy_of(
    request: Request,
    country: Annotated[
        str | None,
        Query(
            max_length=2,
            description="Where the visitor is (ISO 3166-1). It counts only where the service was "
            "told to believe it.",
            examples=["RU"],
        ),
    ] = None,
    lang: Annotated[
        str | None,
        Query(pattern="^(en|ru)$", description="Of notices. Default: by Accept-Language, then en."),
    ] = None,
) -> RequestPolicy:
    """A dependency: the law that holds for the request."""
    policy_resolver: PolicyResolver = request.app.state.policy_resolver
    return policy_resolver.law(request, country, lang)


def preferred(header: str) -> str:
    """The first language of an Accept-Language header that notices exist in, else English."""
    for choice in header.split(","):
        code = choice.partition(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
