// Gives the operator role on the workspace.
param workspaceName string
param roleGuid string
param groups string[]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-04-01' existing = {
  name: workspaceName
}

resource operators 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for group in groups: {
  scope: workspace
  name: guid(workspace.id, group, roleGuid)
  properties: {
    principalId: group
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleGuid)
  }
}]
