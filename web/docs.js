// Shows the document of the API at /docs.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#document", deepLinking: true });
