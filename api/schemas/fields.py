"""Common rules of JSON bodies.

Null means unset, lone surrogates are invalid, and a field that asks for something unsupported is refused by
name.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticOmit, core_schema

UNSUPPORTED = "unsupported"
# Values that ask for nothing, in any field.
NOTHING: tuple[Any, ...] = (None, False, "", [], {})


class RequestBody(BaseModel):
    """Part of a request. Types are strict, unknown fields are ignored, and null means unset.

    A minimum length of zero makes pydantic inspect each string, so that lone surrogates are refused.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, str_min_length=0)

    _with_default: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the fields whose default isn't null."""
        cls._with_default = frozenset(
            name
            for field_name, field in cls.model_fields.items()
            if not field.is_required() and field.get_default() is not None
            for name in (field_name, *_aliases(field))
        )

    @model_validator(mode="before")
    @classmethod
    def _null_is_unset(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {
            name: value for name, value in body.items() if value is not None or name not in cls._with_default
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Document optional fields as nullable."""
        document = handler(schema)
        properties = handler.resolve_ref_schema(document).get("properties", {})
        for name in cls._with_default & properties.keys():
            properties[name] = _or_null(properties[name])
        return document


def _aliases(field: FieldInfo) -> list[str]:
    choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
    return [choice for choice in choices if isinstance(choice, str)]


def _or_null(field: JsonSchemaValue) -> JsonSchemaValue:
    about: JsonSchemaValue = {key: field[key] for key in ("title", "description", "default") if key in field}
    kind = {key: value for key, value in field.items() if key not in about}
    choices = kind["anyOf"] if kind.keys() == {"anyOf"} else [kind]
    return {"anyOf": [*choices, {"type": "null"}], **about}


@dataclass(frozen=True)
class Refused:
    """A field of other servers that can't be served: `tools: Annotated[Any, Refused(…)] = None`.

    Attributes:
        why: what to do instead.
        unless: accepted values, besides null, false and empty ones.
    """

    why: str
    unless: tuple[Any, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The document of the API tells of what is served."""
        raise PydanticOmit

    def _checked(self, value: Any) -> None:
        if any(value is nothing or value == nothing for nothing in (*NOTHING, *self.unless)):
            return
        raise PydanticCustomError(UNSUPPORTED, "{why}", {"why": self.why})
