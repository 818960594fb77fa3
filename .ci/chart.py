"""What neither helm nor kubeconform can see in rendered manifests: that they are what the values ask for, and fit the configuration they contain.

    chart.py GATEWAY MANIFESTS VALUES [AGAIN]     the manifests, the values they were made of, and the same rendered once more
"""

import base64
import os
import re
import subprocess
import sys
import tempfile

import yaml

gateway, path, values_file, *again = sys.argv[1:]
documents = [document for document in yaml.safe_load_all(open(path)) if document]


def of(kind, documents=documents):
    return [document for document in documents if document["kind"] == kind]


def one(kind):
    check(len(of(kind)) == 1, f"{len(of(kind))} of {kind}, not one")
    return of(kind)[0]


def check(holds, message):
    if not holds:
        sys.exit(f"{path}: {message}")


def same(found, wanted, what):
    check(found == wanted, f"{what}: {found}, not {wanted}")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def mebibytes(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", text).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def merged(below, above):
    """Values as helm merges them."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {key: merged(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}


values = merged(yaml.safe_load(open("deploy/helm/gatewright/values.yaml")), yaml.safe_load(open(values_file)) or {})
scaling, persistence, secret = values["autoscaling"], values["persistence"], values["secret"]
served = {name: port["service"] for name, port in values["ports"].items() if port.get("service")}
made = secret["create"] and not secret["existing"]
# On the loopback interface, nothing but `kubectl port-forward` reaches the admin API.
admin_is_open = not yaml.safe_load(values["config"]["gateway.yaml"])["admin"]["address"].startswith("127.")

# The kinds.
wanted = {
    "ConfigMap": 1, "Deployment": 1,
    "Service": bool(served) + admin_is_open,
    "Secret": made,
    "ServiceAccount": values["serviceAccount"]["create"],
    "PersistentVolumeClaim": persistence["enabled"] and not persistence["existingClaim"],
    "HorizontalPodAutoscaler": scaling["enabled"],
    "PodDisruptionBudget": values["podDisruptionBudget"]["enabled"] and (scaling["enabled"] or values["replicas"] > 1),
    "NetworkPolicy": values["networkPolicy"]["enabled"],
    "ServiceMonitor": values["serviceMonitor"]["enabled"],
}
for kind in wanted.keys() | {document["kind"] for document in documents}:
    same(len(of(kind)), int(wanted.get(kind, 0)), f"how many there are of {kind}")

deployment = one("Deployment")
name = deployment["metadata"]["name"]
template = deployment["spec"]["template"]
pod = template["spec"]
same(len(pod["containers"]), 1, "containers")
container = pod["containers"][0]
volumes = {volume["name"]: volume for volume in pod["volumes"]}
mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}


def selects(selector, labels, what):
    check(selector and selector.items() <= labels.items(), f"{what} selects {selector}, not {labels}")


# The configuration.
files = one("ConfigMap")["data"]
same(files, values["config"], "the ConfigMap")
same(mounts["/etc/gatewright"].get("configMap"), {"name": one("ConfigMap")["metadata"]["name"]}, "what is mounted to /etc/gatewright")
with tempfile.TemporaryDirectory() as folder:
    # The mounted Secret.
    secrets = os.path.join(folder, "secrets")
    os.mkdir(secrets)
    for key in set(re.findall(r"/var/run/secrets/gatewright/([\w-]+)", "".join(files.values()))) | {"admin-token"}:
        open(os.path.join(secrets, key), "w").write("7c1f60e5d2b84a9393ab5de04f6c1a28")
    # The Secret with certificates.
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
                    "/CN=gateway", "-keyout", "tls.key", "-out", "tls.crt"], cwd=folder, check=True, capture_output=True)
    for file, text in files.items():
        open(os.path.join(folder, file), "w").write(text.replace("/var/run/secrets/gatewright", secrets).replace("/var/run/tls", folder))
    variables = {item["name"]: item.get("value", "postgres://gateway@db.internal/gateway") for item in container["env"]}
    main = os.path.join(folder, os.path.basename(variables.pop("GATEWRIGHT_CONFIG")))
    del variables["GATEWRIGHT_RUNTIME_FILE"]
    done = subprocess.run([gateway, "check", "--strict", main], env=variables, capture_output=True, text=True)
    check(done.returncode == 0, f"the configuration in the ConfigMap is not valid:\n{done.stdout}{done.stderr}")
config = yaml.safe_load(files["gateway.yaml"])

# Ports and services.
listeners = config["listeners"].values()
addresses = [listener["address"] for listener in listeners] + [
    listener["tls"]["redirect_from"] for listener in listeners if "redirect_from" in listener.get("tls", {})]
listening = {address.rsplit(":")[-1] for address in addresses}
ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
if admin_is_open:
    same(ports.pop("admin"), config["admin"]["address"].rsplit(":")[-1], "the admin port")
same(ports, {port: str(of_port["container"]) for port, of_port in values["ports"].items()}, "the ports of the container")
same(set(ports.values()), listening, "the ports, compared with the listeners")
services = {service["metadata"]["name"]: service for service in of("Service")}
offered = {service: {port["name"]: (port["port"], port["targetPort"]) for port in services[service]["spec"]["ports"]} for service in services}
wanted = {f"{name}-admin": {"admin": (values["admin"]["port"], "admin")}} if admin_is_open else {}
if served:
    wanted[name] = {port: (number, port) for port, number in served.items()}
    same(services[name]["spec"]["type"], values["service"]["type"], "the type of the service")
    same(services[name]["spec"].get("externalTrafficPolicy", ""), values["service"]["externalTrafficPolicy"], "externalTrafficPolicy")
same(offered, wanted, "the ports of the services")
for service in services.values():
    selects(service["spec"]["selector"], template["metadata"]["labels"], service["metadata"]["name"])
selects(deployment["spec"]["selector"]["matchLabels"], template["metadata"]["labels"], "the Deployment")

# Probes: what the values say, at the paths where the configuration answers.
probes, health = values["probes"], config.get("health", {})
for probe, key in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
    asked = container[probe]["httpGet"]
    same(asked, {"path": probes[key], "port": probes["port"], "scheme": probes["scheme"]}, probe)
    same(asked["path"], health.get(key, f"/health/{key}"), f"the path of {probe}, compared with the configuration")
    check(asked["port"] in ports, f"{probe} asks no listener")
    asked = next(listener for listener in config["listeners"].values() if listener["address"].endswith(f":{ports[asked['port']]}"))
    same(probes["scheme"], "HTTPS" if "tls" in asked else "HTTP", f"the scheme of {probe}, compared with the configuration")

# A start may take minutes, as tables may change at it. Liveness restarts a pod that hung for half a minute to one minute, not one that
# was slow once. Readiness takes a pod out of its service within 10 s, and earlier than liveness restarts it.
for probe, least, most in (("startupProbe", 120, 600), ("livenessProbe", 20, 60), ("readinessProbe", 2, 10)):
    every, times, wait = (container[probe].get(key, default) for key, default in (
        ("periodSeconds", 10), ("failureThreshold", 3), ("timeoutSeconds", 1)))
    check(least <= every * times <= most, f"{probe} fails after {every * times} s, not after {least} to {most} s")
    check(2 <= times and 1 <= wait <= every <= 10, f"{probe}: {times} failures, each after {wait} s, every {every} s")
    check(container[probe].get("initialDelaySeconds", 0) == 0, f"{probe}: the startup probe waits, so no delay is needed")

# Rights: those of the restricted Pod Security Standard, and a read-only root. The user is the image's, whose number is no root's.
user, group = map(int, re.search(r"(?m)^USER (\d+):(\d+)$", open("deploy/Dockerfile").read()).groups())
check(user > 0 and group > 0, "the user of the image is root")
same(pod["securityContext"], {
    "runAsNonRoot": True, "runAsUser": user, "runAsGroup": group, "fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"}}, "the securityContext of the pod")
same(container["securityContext"], {
    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, "the securityContext of the container")
for owner in [pod, *of("ServiceAccount")]:
    same(owner.get("automountServiceAccountToken"), False, "automountServiceAccountToken")
check(not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), "the pod uses its host")
# Kubernetes would set variables for each service of the namespace, such as GATEWRIGHT_PORT for one that is called gatewright.
same(pod.get("enableServiceLinks"), False, "enableServiceLinks")
check(not any("hostPath" in volume for volume in pod["volumes"]), "a volume is a folder of the host")
memory = {key: mebibytes(container["resources"].get(key, {}).get("memory", "0Mi")) for key in ("requests", "limits")}
check(32 <= memory["requests"] <= memory["limits"] / 2 and 256 <= memory["limits"], f"not enough memory, or no limit: {memory} MiB")
writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
same(writable, {"/tmp", "/var/lib/gatewright"}, "what can be written to")
runtime = next(item["value"] for item in container["env"] if item["name"] == "GATEWRIGHT_RUNTIME_FILE")
check(os.path.dirname(runtime) in writable, f"{runtime} cannot be written")
same(config.get("environment"), "production", "environment")

# How many there are, and what they keep. With a lower target for CPU there are always too many pods, and with a higher one a pod is
# overloaded while the next one starts.
check(50 <= scaling["cpu"] <= 85, f"a target of {scaling['cpu']} % of CPU is not sensible")
if scaling["enabled"]:
    check("replicas" not in deployment["spec"], "`replicas` would undo what the HorizontalPodAutoscaler did")
    scaler = one("HorizontalPodAutoscaler")["spec"]
    same(scaler["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "what is scaled")
    same((scaler["minReplicas"], scaler["maxReplicas"]), (scaling["minReplicas"], scaling["maxReplicas"]), "the bounds of scaling")
    same(scaler["metrics"], [{"type": "Resource", "resource": {"name": "cpu", "target": {
        "type": "Utilization", "averageUtilization": scaling["cpu"]}}}], "what scaling measures")
    check("cpu" in container["resources"].get("requests", {}), "scaling by CPU needs a request for CPU")
else:
    same(deployment["spec"].get("replicas"), values["replicas"], "replicas")
for budget in of("PodDisruptionBudget"):
    same(budget["spec"]["maxUnavailable"], values["podDisruptionBudget"]["maxUnavailable"], "maxUnavailable")
    share, least = str(budget["spec"]["maxUnavailable"]), scaling["minReplicas"] if scaling["enabled"] else values["replicas"]
    check(int(share.strip("%")) < (100 if share.endswith("%") else least), f"maxUnavailable: {share} of {least} pods are all")
    selects(budget["spec"]["selector"]["matchLabels"], template["metadata"]["labels"], "the PodDisruptionBudget")
data = {key: value for key, value in mounts["/var/lib/gatewright"].items() if key != "name"}
if persistence["enabled"]:
    claim = persistence["existingClaim"] or one("PersistentVolumeClaim")["metadata"]["name"]
    same(data, {"persistentVolumeClaim": {"claimName": claim}}, "what is mounted to /var/lib/gatewright")
    for made_claim in of("PersistentVolumeClaim"):
        spec = made_claim["spec"]
        same((spec["resources"]["requests"]["storage"], spec.get("storageClassName", ""), spec["accessModes"]),
             (persistence["size"], persistence["storageClass"], persistence["accessModes"]), "the claim")
else:
    same(data, {"emptyDir": {}}, "what is mounted to /var/lib/gatewright")
# A new pod serves before an old one ends. With a volume that one pod can use, the old one ends first.
same(deployment["spec"]["strategy"], {"type": "Recreate"} if persistence["enabled"] else
     {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, "the strategy")

# Who may reach it, and who measures it.
for policy in of("NetworkPolicy"):
    rules = [{"ports": [{"port": port} for port in sorted(values["ports"])]}]
    if values["networkPolicy"]["adminFrom"] and admin_is_open:
        rules.append({"ports": [{"port": "admin"}], "from": values["networkPolicy"]["adminFrom"]})
    same((policy["spec"]["policyTypes"], policy["spec"]["ingress"]), (["Ingress"], rules), "the NetworkPolicy")
    selects(policy["spec"]["podSelector"]["matchLabels"], template["metadata"]["labels"], "the NetworkPolicy")
token = secret["existing"] or name
for monitor in of("ServiceMonitor"):
    labels = services[f"{name}-admin"]["metadata"]["labels"]
    selects(monitor["spec"]["selector"]["matchLabels"], labels, "the ServiceMonitor")
    check(not served or not monitor["spec"]["selector"]["matchLabels"].items() <= services[name]["metadata"]["labels"].items(),
          "the ServiceMonitor selects both services")
    same(monitor["spec"]["endpoints"], [{
        "port": "admin", "path": config["telemetry"]["metrics"]["prometheus"]["path"], "interval": values["serviceMonitor"]["interval"],
        "authorization": {"credentials": {"name": token, "key": "admin-token"}}}], "what the ServiceMonitor asks")
    check(values["serviceMonitor"]["labels"].items() <= monitor["metadata"]["labels"].items(), "the labels of the ServiceMonitor")

# What is passed on as it is.
for key in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "imagePullSecrets"):
    same(pod.get(key, type(values[key])()), values[key], key)
for key, wanted in (("labels", values["podLabels"]), ("annotations", values["podAnnotations"])):
    check(wanted.items() <= template["metadata"].get(key, {}).items(), f"the {key} of the pod are not {wanted}")
for key, there, wanted in (("env", container["env"], values["env"]), ("extraVolumes", pod["volumes"], values["extraVolumes"]),
                           ("extraVolumeMounts", container["volumeMounts"], values["extraVolumeMounts"])):
    check(all(item in there for item in wanted), f"{key}: {there}, without {wanted}")
image = values["image"]
program = yaml.safe_load(open("deploy/helm/gatewright/Chart.yaml"))["appVersion"]
same(container["image"], image["repository"] + ("@" + image["digest"] if image["digest"] else ":" + (image["tag"] or program)), "the image")
same(container["imagePullPolicy"], image["pullPolicy"], "imagePullPolicy")
check(image["pullPolicy"] in ("IfNotPresent", "Always"), f"{image['pullPolicy']}: nothing brings the image to a new node")
same(container["resources"], values["resources"], "resources")

# Secrets.
mounted = mounts.get("/var/run/secrets/gatewright", {}).get("secret", {})
# Only root writes to it, and the group of the pod reads it: 0644, the default, is for everyone in the container.
same(mounted, {"secretName": token, "defaultMode": 0o440} if made or secret["existing"] else {},
     "the Secret that is mounted to /var/run/secrets/gatewright")
for volume in pod["volumes"]:
    mode = volume["secret"].get("defaultMode", 0o644) if "secret" in volume else 0
    check(mode & 0o7337 == 0, f"the Secret of the volume {volume['name']} has the mode {mode:04o}, not 0440 or 0400")
if made:
    given = {key: base64.b64decode(value).decode() for key, value in one("Secret")["data"].items()}
    same(one("Secret")["metadata"]["name"], name, "the name of the Secret")
    same({key: given[key] for key in given if key != "admin-token" or key in secret["values"]}, secret["values"], "the Secret")
    check(len(given["admin-token"]) >= 32, "the admin token is too short")
if again:
    # Rendered once more, only the admin token differs, if it is generated.
    other = [document for document in yaml.safe_load_all(open(again[0])) if document]
    if made and "admin-token" not in secret["values"]:
        tokens = [of("Secret", rendered)[0]["data"].pop("admin-token") for rendered in (documents, other)]
        check(tokens[0] != tokens[1], "the generated admin token is the same each time")
    check(documents == other, "it is something else each time")

shutdown = config["shutdown"]
least = seconds(shutdown["grace"]) + seconds(shutdown["drain"])
same(pod["terminationGracePeriodSeconds"], values["terminationGracePeriodSeconds"], "the grace period")
check(pod["terminationGracePeriodSeconds"] > least, f"the grace period must exceed {least} s")
check(not any("subPath" in mount for mount in container["volumeMounts"]), "a subPath is never updated")
account = values["serviceAccount"]
same(pod["serviceAccountName"], account["name"] or (name if account["create"] else "default"), "the service account")
for created in of("ServiceAccount"):
    same(created["metadata"]["name"], pod["serviceAccountName"], "the name of the service account")
named = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
created = {document["metadata"]["name"] for document in of("Secret")}
print(f"{path}: {len(documents)} manifests fit their values and configuration; "
      f"secrets made: {sorted(created & named)}, expected: {sorted(named - created)}")
