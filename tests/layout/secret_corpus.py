"""Messages with and without secrets. In those with secrets, what must go stands between « and »."""

KEY_VALUES = """
password=«hunter2»
login with password=«hunter2» of anna
password = «hunter2», user = anna
password: «hunter2»
Password: «Tr0ub4dor&3»
user.password=«hunter2» user.name=anna
db_password=«s3cr3t!» host=db1
--password=«hunter2» --user anna
PGPASSWORD=«hunter2» psql -h db1
{"user": "anna", "password": "«hunter2»"}
{"password":"«a \\"quoted\\" word»","user":"anna"}
{'user': 'anna', 'password': '«hunter2»'}
{"body": "{\\"password\\": \\"«hunter2»\\", \\"user\\": \\"anna\\"}"}
{"token": "«abc»", "expires_in": 3600}
{"access_token":"«ya29.a0AfH6SMBx»","refresh_token":"«1//0gX»","token_type":"Bearer"}
GET /search?q=shoes&token=«abc123»&page=2 HTTP/1.1
GET /cb?access_token=«abc123» HTTP/1.1
callback https://example.com/cb?code=7&client_secret=«xyz»&state=1
api_key=«0123456789abcdef» region=eu
api-key: «0123456789abcdef»
X-Api-Key: «0123456789abcdef»
x-auth-token: «deadbeef»
Authorization: Bearer «abc»
Authorization: Basic «aHVudGVyMjpodW50ZXIy»
authorization=Token «9944b09199c62bcf9418ad846dd0e4bb»
{"Authorization": "«Bearer abc»"}
'Authorization': '«Basic aHVudGVyMg==»'
Proxy-Authorization: Basic «aHVudGVyMg==»
{"Authorization": "«Digest username=\\"u\\", response=\\"abc\\"»"}
/api/token: «abc123»
secret=«s» next
client_secret: «s3» and more
aws_secret_access_key=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»
AWS_SECRET_ACCESS_KEY = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»
private_key='«-----BEGIN PRIVATE KEY----- abc»'
User(name='anna', password='«hunter2»')
connect(host='db1', password=b'«hunter2»', port=5432)
connect(host='db1', password=f'«{first}-hunter2»', port=5432)
password = Rb'«hunter2»'
    password = \"\"\"«hunter2»\"\"\"
dsn: host=db1 password='«it\\'s»' dbname=shop
failed: password="«correct horse battery staple»" is weak
SECRET=«x»;PATH=/bin
pwd=«hunter2»
passphrase: «opensesame», ok
password=«hun,ter;2», user=anna
the passwd: «hunter2.»
config {"secret": «["a", "b"]», "x": 1}
{"secret": «["a]b", {"c": "}\\"]"}]», "x": 1}
{"body": "{\\"token\\": «[\\"a]b\\", 1]», \\"n\\": 1}"}
login with password=«{abc}def» of anna
token: «[it's]», n: 1
token=«[a]» and more
id_token=«eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.»
password=«ünïcödé» und mehr
password=«パスワード» 終わり
a=1&b=2&password=«p%40ss»&c=3
<input name="x" password="«hunter2»">
password := «hunter2»
[config] token: «abc», retries: 3
spring.datasource.password=«S3cr3t_2026»
export DB_PASSWORD="«p@ss w0rd»" DB_USER=shop
docker run -e MYSQL_ROOT_PASSWORD=«toor» mysql:8
helm upgrade shop --set auth.password=«n0tNice»
vault write secret/shop api_key=«k-99»
curl -H "X-Api-Key: «0a1b2c»" https://api.example.com/v1
curl -d '{"client_secret":"«cs_live_9»","grant_type":"client_credentials"}'
{"event":"login","user":{"name":"anna","password":"«hunter2»"},"ok":true}
{"headers": {"authorization": "«Basic YW5uYTpodW50ZXIy»"}}
{"db": {"host": "db1", "passwd": "«abc»"}}
headers={'X-Auth-Token': '«9f»', 'Accept': '*/*'}
Settings(debug=True, secret_key='«django-insecure-1»', hosts=['*'])
Config(api_key="«sk_test_51»", timeout=3)
OAuth2(access_token='«at, still»', scope='read')
token = '«multi word token»'
token="«a\\\\»"
secret=«two», token=«three», n=4
secret=«a»&token=«b»&n=1
[{"token": "«a»"}, {"token": "«b»"}]
new_password=«n3w»&old_password=«0ld»&id=7
POST /login user=anna&password=«hunter2»
form: {password: «hunter2», user: anna}
set password = «hunter2»;
ALTER USER shop WITH password='«hunter2»';
jdbc:postgresql://db1/shop?user=shop&password=«hunter2»
Server=db1;Database=shop;Pwd=«hunter2»; Timeout=30
aws_access_key_id=«AKIAIOSFODNN7EXAMPLE» aws_secret_access_key=«wJalrXUtnFEMI/K7MDENG»
webhook_secret: «whsec_1»
slack token: «xoxb-1234-abcd»
GITHUB_TOKEN=«ghp_16C7e42F292c6912E7710c838347Ae178B4a»
npm config //registry.example.com/:_authToken=«npm_1»
sessionToken: «s.1»
refresh-token: «r.1» expires: 3600
csrf_token=«cafe»
DEBUG password:«tight»
password => «arrow», user => anna
{:password=>"«hunter2»", :user=>"anna"}
['password' => '«hunter2»']
\tpassword=«tabbed»\tuser=anna
WARN  o.s.Auth - password: «geheim» für anna
пароль и token=«яблоко» конец
Session(user='ann', token=«UUID('00000000-0000-0000-0000-000000003039')», n=3)
Session(user='ann', password=«('S1', 'S2')», n=3)
Session(password=«bytearray(b'a) b')», user='ann')
Session(password=«collections.deque([b'S', 'T)'])», user='ann')
Session(token=«Secret('S')», user='ann')
Session(token=«frozenset({'S', ("T)",)})», user='ann')
password: «(a, b)» and more
{"body": "{\\"token\\": «(\\"a)b\\", 1)», \\"n\\": 1}"}
token=«abc(def)g»&page=2
api_key          = «S4»
password         : «S4»
password=          «S4»
password=          «YWJj==» and more
password\t=\t«S4»
password\u00a0=\u00a0«S4» and more
password:              «S4»
cfg['password'] = '«S»'
os.environ["DB_PASSWORD"]="«S»" # x
"""

SHAPES = """
Bearer «abcdef0123456789»
got bearer «dGhpcyBpcyBhIHRva2Vu1» from the client
sent Bearer «AbCdEfGhIjKlMnOpQrStUvWx» upstream
curl -H "Bearer «s3cr3t-t0ken»"
token «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U»
jwt «eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.» unsigned
cookie session «eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.abc-_def», done
"«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcd»"
postgresql://shop:«hunter2»@db1:5432/shop
connected to redis://:«hunter2»@cache:6379/0
amqp://guest:«guest»@rabbit//
https://anna:«p%40ss»@example.com/path?x=1
https://anna:«p@ss»@example.com/
mongodb+srv://u:«pw»@cluster0.example.net/test?retryWrites=true
fetch "ftp://u:«pw»@host/file" failed
(https://u:«pw»@host) and http://host/
«AKIAIOSFODNN7EXAMPLE» is the key
key «ASIAIOSFODNN7EXAMPLE», role x
id=«AKIAIOSFODNN7EXAMPLE»
['«AKIAIOSFODNN7EXAMPLE»']
card «4111111111111111» declined
card «4111 1111 1111 1111» declined
card «4111-1111-1111-1111» declined
card «5555555555554444», exp 12/29
amex «378282246310005»
amex «3782 822463 10005» ok
discover «6011111111111117»
diners «30569309025904».
pan=«4012888888881881»;
paid with «4222222222222» (13 digits)
two «4111111111111111» and «5105105105105100» cards
2026 «4111 1111 1111 1111» 2027
shop:«hunter2»@db1:5432/shop
connecting as root:«toor»@127.0.0.1
dsn=anna:«hunter2»@db.example.com/shop
login anna.b-c:«p%40ss»@host1, retry
proxy user1:«pw»@proxy.internal:3128
"anna:«hunter2»@db1"
(anna:«hunter2»@db1)
bob:«a:b:c»@[::1]:5432
smtp credentials mailer:«s3nd»@smtp.example.com:587
https://oauth2:«glpat-abc»@gitlab.example.com/x.git
git clone https://x-access-token:«ghs_1»@github.com/o/r.git
mysql+pymysql://root:«toor»@localhost/shop?charset=utf8
kafka://u:«p»@b1:9092,b2:9092
rediss://default:«r3d»@cache:6380
ws://anna:«hunter2»@host/socket
Authorization: Bearer «eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.»
'Bearer «0123456789abcdef»'
BEARER «ABCDEF123456»
[bearer «tok3nabc»]
x «eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJodHRwczovL2EifQ.MEUCIQ» y
mastercard «5105 1051 0510 5100» ok
maestro «6759649826438453» ok
jcb «3530111333300000»
(«4111111111111111»)
card:«4111111111111111»
"pan":"«4012888888881881»"
"""

PLAIN = """
order 4711 filled at 34.50
order_id=123456 price=34.50 qty=100 venue=XNAS
GET /index.html HTTP/1.1 200 512
connected to db1:5432 in 12 ms
12:30:45.123 starting up
2026-11-29T20:15:34.901936Z level=info msg="cache miss" key=user:1
user anna@example.com signed up
mail from bob@example.com to anna@example.com
https://example.com/a/b?c=d#e
http://localhost:8080/health
http://[::1]:8080/
ssh git@github.com:org/repo.git
std::vector<int>::push_back
Traceback (most recent call last):
KeyError: 'password'
ValueError: invalid literal for int() with base 10: 'x'
the password was changed
password reset for anna
invalid password
a token has expired
tokens=512 max_tokens=1024 prompt_tokens=7
token_type=bearer expires_in=3600
bearer authentication is required
the bearer of this letter
Bearer realm="shop"
password=None
password=
password= user=anna
password is empty
password=***
{"password": null, "user": "anna"}
{"password": ""}
if password == expected:
assert token != other
secretary: none
passwords: 12 rejected
author: anna, authority: x
id 550e8400-e29b-41d4-a716-446655440000
id 12345678-1234-1234-1234-123456789012
timestamp 1700000000000 ms
at 1764447334901936123 ns
order 4111111111111112 (no check digit)
number 1234567890123456
phone +49 170 1234567
phone 0170-1234567-890
sha256 4111111111111111abcdef
1e308 0.4111111111111111 4.111111111111111
version 4111.1111.1111.1111
10.0.0.1 192.168.0.255
2026-11-29 20:15:34,901
20261129201534
eyJ is the beginning of a JWT
eyJhbGciOiJub25lIn0 alone
my.key.eyJ.is.short
xeyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.abc
AKIA is a prefix
AKIASHORT and ASIA
MALAYSIA AND INDONESIA
XAKIAIOSFODNN7EXAMPLE
AKIAIOSFODNN7EXAMPLEX
akiaiosfodnn7example
100% [========>] 5/5 files
a = b == c
x := 3
ratio 4:3, 16:9
Error: ENOENT: no such file or directory
user:group owner=root:root mode=0644
{"level": "info", "msg": "ready", "port": 8080}
k8s.io/pod=web-1 ns=default
time=12ms size=4096 status=200
SELECT * FROM users WHERE id = 7
foo(bar=1, baz='x')
pressed key: enter
monkey=1 turkey=2 keyboard: qwerty
access_keys=3
apikeys: 4
private keys: 2
keys=a,b,c
session=42 cookie count 3
beans, bear, beard and Bea
beach at 12:00, beacon=on
http://user@host/
//cdn.example.com/x.js
mailto:anna@example.com
a@b@c
@decorator
email="anna@example.com" name="Anna"
path=C:\\Users\\anna
d41d8cd98f00b204e9800998ecf8427e
0xDEADBEEF 0b1010
ünïcödé: ok, größe=3
日本語: テスト=1
emoji 😀=1
mailto:anna@example.com?subject=hi
to:anna@example.com from:bob@example.com
user:anna@example.com signed in
sip:bob@biloxi.example.com
image nginx:1.25@sha256:0a1b2c3d
npm:react@18.2.0 resolved
@types/node@20.1.0
12:30@room4
12:30:45@node1 ready
a:b c@d
key: value@host
see anna@example.com:8080
git@github.com:org/repo.git
root@web-1:/var/log#
INFO:root:ready
INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK
10.0.0.1 - - [29/Nov/2026:20:15:34 +0000] "GET /x?y=1 HTTP/1.1" 200 12 "-" "curl/8.0"
level=info ts=2026-11-29T20:15:34Z caller=main.go:12 msg="listening" addr=:8080
ts=1764447334.901 logger=shop event=start pid=77
time="2026-11-29T20:15:34Z" level=warning msg="slow" took=1.2s
Jobs: 12 In progress: 3 Items: 77
I/O error: EIO
HTTP 404: Not Found
TypeError: f() got an unexpected keyword argument 'x'
  File "/srv/app/main.py", line 12, in <module>
    raise ValueError(f"{x!r}") from error
tokenizer: ready
tokenized=12
token count: 12
the secret is out
secrets: 3 loaded
secret_name=db-password version=3
secret_id: none
password_hash_rounds=12
password_policy=strict
passwordless: true
api_keys_loaded=3
authorizations=2
author=anna
authority=ca
keyboard=de
keystore=/etc/ssl/keystore
key=user:1 hit=true
cache key: a:b:c
monkey: 1
turnkey=true
publickey auth for anna
access granted: read
access=read
private=false
max_tokens: 4096, temperature: 0.7
total_tokens=12 cached_tokens=3
token=None token=null token=nil
{"password": false, "n": 1}
password=*****
{"token": null}
Bearer token missing
bearer: missing
the forbearer of it
bears 12 and beats
be the best
better=1 best:2
subscribe=1 obey: yes
JSON parse error: line 1
Java 17, JVM 1.8
eyJhbG.eyJz.abc
JIRA-1234 and AJAX
IAM role: reader
AIDAIOSFODNN7EXAMPL
ASIAN markets: closed
AKIA IOSFODNN7EXAMPLE
1234 5678 9012 3456
0000 0000 0000 0000
4111 1111 1111 1112
4111-1111 1111-1111
order 411111111111
9999999999999999
uuid 41111111-1111-4111-8111-111111111111
0x4111111111111111
4111111111111111.5
isbn 978-3-16-148410-0
iban DE89370400440532013000
tel:+4930123456
build 20261129.201534
range 1000-2000 of 3000
x<y, y>z, z<=w; done?
a;b;c?d>e<f
password=    user=anna
if cfg['password'] == other:
keys ["token"]: none
f(x) token (new) password (old)
"""


def texts(block: str) -> list[str]:
    return [line for line in block.strip().split("\n") if line]


WITH_SECRETS = texts(KEY_VALUES) + texts(SHAPES)
WITHOUT = texts(PLAIN)
