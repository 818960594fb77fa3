"""What a person does with the generated Python client."""

import os

from users_api_client import AuthenticatedClient
from users_api_client.api.auth import login
from users_api_client.api.users import create_user, delete_user, list_users, read_user, update_user
from users_api_client.models import ChangedUser, Error, Login, NewUser, Tokens, User

with AuthenticatedClient(base_url=os.environ["BASE"], token=os.environ["TOKEN"]) as client:
    new = NewUser(email="ada@example.com", name="Ada", password="correct horse")
    user = create_user.sync(client=client, body=new)
    assert isinstance(user, User) and user.name == "Ada", user
    taken = create_user.sync(client=client, body=new)
    assert isinstance(taken, Error) and taken.error == "conflict", taken
    assert taken.details[0].field == "email", taken
    found = read_user.sync(client=client, id=user.id)
    assert found.email == "ada@example.com" and found.created_at == user.created_at, found
    listed = list_users.sync(client=client, filternameprefix="A", per_page=1)
    assert [one.id for one in listed] == [user.id], listed
    changed = update_user.sync(client=client, id=user.id, body=ChangedUser(name="Ada Lovelace"))
    assert changed.name == "Ada Lovelace" and changed.email == user.email, changed
    tokens = login.sync(client=client, body=Login(email=user.email, password="correct horse"))
    assert isinstance(tokens, Tokens) and tokens.token_type == "Bearer", tokens
    assert delete_user.sync_detailed(client=client, id=user.id).status_code == 204
    gone = read_user.sync(client=client, id=user.id)
    assert isinstance(gone, Error) and gone.error == "not_found", gone
print("created, read, listed, changed and deleted a user")
