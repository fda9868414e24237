# Prints as JSON what stands in a template once its loops are unrolled and its transforms applied.

import json
import sys

from cfnlint.decode import decode
from cfnlint.template import Template

path = sys.argv[1]
template, problems = decode(path)
if not problems:
    parameters = template.get("Parameters", {})
    written = template["Resources"].values()
    code = [resource["Properties"]["CodeUri"] for resource in written
            if isinstance(resource, dict) and resource.get("Type") == "AWS::Serverless::Function"]
    unrolled = Template(path, template, ["us-east-1"])
    problems = unrolled.transform()
if problems:
    sys.exit("\n".join(str(problem) for problem in problems))
print(json.dumps({
    "parameters": [
        {
            "name": str(name),
            "required": "Default" not in parameter,
            "allowed": [str(value) for value in parameter.get("AllowedValues", [])],
            "description": str(parameter.get("Description", "")),
        }
        for name, parameter in parameters.items()
    ],
    "code": [str(uri) for uri in code],
    "resources": len(unrolled.template["Resources"]),
    "outputs": len(unrolled.template.get("Outputs", {})),
}))
