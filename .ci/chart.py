"""What neither helm nor kubeconform can see in rendered manifests: that they fit the configuration they contain.

    chart.py GATEWAY MANIFESTS [VALUES]     with the values that they were made of, the ConfigMap must have their files byte by byte
"""

import os
import re
import subprocess
import sys
import tempfile

import yaml

gateway, path, *values = sys.argv[1:]
documents = [document for document in yaml.safe_load_all(open(path)) if document]


def of(kind):
    return [document for document in documents if document["kind"] == kind]


def check(holds, message):
    if not holds:
        sys.exit(f"{path}: {message}")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


pod = of("Deployment")[0]["spec"]["template"]["spec"]
container = pod["containers"][0]
files = of("ConfigMap")[0]["data"]
for file in values:
    wanted = (yaml.safe_load(open(file)) or {}).get("config", files)
    check(files == wanted, f"the ConfigMap has {files}, not {wanted}")
with tempfile.TemporaryDirectory() as folder:
    # The mounted Secret.
    secrets = os.path.join(folder, "secrets")
    os.mkdir(secrets)
    for name in set(re.findall(r"/var/run/secrets/gatewright/([\w-]+)", "".join(files.values()))) | {"admin-token"}:
        open(os.path.join(secrets, name), "w").write("7c1f60e5d2b84a9393ab5de04f6c1a28")
    # The Secret with certificates.
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
                    "/CN=gateway", "-keyout", "tls.key", "-out", "tls.crt"], cwd=folder, check=True, capture_output=True)
    for name, text in files.items():
        open(os.path.join(folder, name), "w").write(text.replace("/var/run/secrets/gatewright", secrets).replace("/var/run/tls", folder))
    variables = {item["name"]: item.get("value", "postgres://gateway@db.internal/gateway") for item in container["env"]}
    main = os.path.join(folder, os.path.basename(variables.pop("GATEWRIGHT_CONFIG")))
    del variables["GATEWRIGHT_RUNTIME_FILE"]
    done = subprocess.run([gateway, "check", "--strict", main], env=variables, capture_output=True, text=True)
    check(done.returncode == 0, f"the configuration in the ConfigMap is not valid:\n{done.stdout}{done.stderr}")

config = yaml.safe_load(files["gateway.yaml"])
listening = {listener["address"].rsplit(":")[-1] for listener in config["listeners"].values()}
ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
check(ports.pop("admin") == config["admin"]["address"].rsplit(":")[-1], "the admin port is not that of the configuration")
check(set(ports.values()) == listening, f"ports {ports}, but listeners on {listening}")
for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
    check(container[probe]["httpGet"]["port"] in ports, f"{probe} asks no listener")
for service in of("Service"):
    check(service["spec"]["ports"], f"{service['metadata']['name']} has no port")
    for port in service["spec"]["ports"]:
        check(port["targetPort"] in {*ports, "admin"}, f"{port} leads nowhere")

shutdown = config["shutdown"]
least = seconds(shutdown["grace"]) + seconds(shutdown["drain"])
check(pod["terminationGracePeriodSeconds"] > least, f"the grace period must exceed {least} s")
check(pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"], "not hardened")
check(not any("subPath" in mount for mount in container["volumeMounts"]), "a subPath is never updated")
claims = of("PersistentVolumeClaim")
strategy = of("Deployment")[0]["spec"]["strategy"]["type"]
check(strategy == ("Recreate" if claims else "RollingUpdate"), f"strategy {strategy} with {len(claims)} volumes")
named = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
made = {document["metadata"]["name"] for document in of("Secret")}
print(f"{path}: {len(documents)} manifests fit their configuration; secrets made: {sorted(made & named)}, expected: {sorted(named - made)}")
