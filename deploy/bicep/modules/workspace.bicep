// Roles on the workspace: the worker creates, pauses and resumes labeling jobs; the console looks.
param workspaceName string
param workerPrincipalId string
param consolePrincipalId string

var dataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

var grants = [
  {
    principal: workerPrincipalId
    role: dataScientist
  }
  {
    principal: workerPrincipalId
    role: reader
  }
  {
    principal: consolePrincipalId
    role: reader
  }
]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for grant in grants: {
  scope: workspace
  name: guid(workspace.id, grant.principal, grant.role)
  properties: {
    principalId: grant.principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
  }
}]

@description('The workspace\'s own, system-assigned identity, which it must have.')
output principalId string = workspace.identity.principalId
