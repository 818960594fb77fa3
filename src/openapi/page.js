// Shows the OpenAPI document next to this file.
const address = new URL("openapi.json", document.currentScript.src).href;

window.ui = SwaggerUIBundle({
  url: address,
  dom_id: "#viewer",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  onComplete: () => {
    document.title = window.ui.specSelectors.info().get("title");
  },
});
